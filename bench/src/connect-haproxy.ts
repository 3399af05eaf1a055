// HAProxy as a peer: one thread, keep-alive on both sides.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePorts } from "@sallyport/testkit/platform";
import type { ConnectFront } from "./connect-front.ts";
import { startConnectFront } from "./connect-front.ts";
import type { ConnectWorld } from "./connect-world.ts";

export const HAPROXY = "/usr/sbin/haproxy";

export interface HaproxyOptions {
  /** Tokens are verified, by `jwt_verify` at each request. */
  readonly verifies?: boolean;
  /** To the app goes a Unix socket, as from our proxy to a gateway; TCP when unset, as it is usual. */
  readonly unix?: boolean;
  /** TLS with HTTP/1.1 and HTTP/2; plain TCP when unset. */
  readonly tls?: boolean;
}

export async function startHaproxy(world: ConnectWorld, options: HaproxyOptions = {}): Promise<ConnectFront> {
  const { app, certificate, directory, tokens } = world;
  const { tls = false, unix = false, verifies = false } = options;
  const [port] = await freePorts();
  const keyPath = join(directory, "es256.pem");
  await writeFile(keyPath, tokens.es256Key);
  const certificateOptions = tls ? ` ssl crt ${certificate.bundlePath} alpn h2,http/1.1` : "";
  const rules = [
    "http-request set-var(txn.bearer) http_auth_bearer",
    "http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')",
    "http-request deny deny_status 401 unless { var(txn.alg) -m str ES256 }",
    `http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify(txn.alg,"${keyPath}") 1 }`,
    "http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')",
    "http-request set-var(txn.now) date()",
    "http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }",
    "http-request set-header X-Verified-User-Data %[var(txn.bearer),jwt_payload_query('$.ud')]",
    "http-request del-header Authorization",
  ];
  const config = `global
  nbthread 1
  maxconn 4000
  tune.ssl.default-dh-param 2048
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
  option forwardfor
frontend in
  bind 127.0.0.1:${port}${certificateOptions}
  ${verifies ? rules.join("\n  ") : ""}
  default_backend app
backend app
  server app ${unix ? `unix@${app.socketPath}` : `127.0.0.1:${app.port}`}
`;
  const name = `haproxy${tls ? "-tls" : ""}${verifies ? "-jwt" : ""}${unix ? "-unix" : ""}`;
  const path = join(directory, `${name}.cfg`);
  await writeFile(path, config);
  const about = { name, port, host: world.host, tokens: verifies ? tokens.es256 : [] };
  return startConnectFront(about, [HAPROXY, "-db", "-f", path]);
}
