// What every part of the benchmark "tunnel" needs: an app, load, a certificate, and an api that tells an edge of one sandbox.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PortKind, RouteState } from "@sallyport/contracts";
import { makeAuthority } from "@sallyport/testkit/certificates";
import { FakeEdgeService } from "@sallyport/testkit/edge-service";
import { freePorts } from "@sallyport/testkit/platform";
import { compile, startNative } from "./native.ts";

export interface TunnelWorld extends AsyncDisposable {
  /** Of the benchmark's own; goes with it. */
  readonly directory: string;
  /** Where the app is. At its socket it answers CONNECT as a gateway's door does, too. */
  readonly app: { readonly socketPath: string; readonly port: number };
  /** Path of the program that is the clients. */
  readonly load: string;
  readonly tunnelDomain: string;
  /** Of the tunnel over TLS. */
  readonly host: string;
  /** The public port of the raw tunnel. */
  readonly rawPort: number;
  /** ECDSA P-256, for all hosts of the domain; paths of PEM files. */
  readonly certificate: Readonly<Record<"caPath" | "certPath" | "keyPath" | "bundlePath", string>>;
  readonly platformId: string;
  readonly apiSocket: string;
  /** Resolves when the one edge that runs acts on what the api tells. */
  edgeReady(): Promise<void>;
}

/** Of two labels: a wildcard right below one is none to OpenSSL. */
const TUNNEL_DOMAIN = "tunnel.localhost";
const PLATFORM_ID = "01jd00000000000000000000bb";
const APP_PORT = 8080;
const RAW_APP_PORT = 8081;

export async function startTunnelWorld(): Promise<TunnelWorld> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "spb-tunnel-"));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const load = await compile("tunnel-load.c", directory, { libraries: ["ssl", "crypto", "pthread"] });
  const [appPort, rawPort] = await freePorts();
  const app = { socketPath: join(directory, "app.sock"), port: appPort };
  stack.use(await startNative([await compile("tunnel-app.c", directory), app.socketPath, String(app.port)]));

  const labels = { tls: `tn-${"0".repeat(25)}1`, raw: `tn-${"0".repeat(25)}2` };
  const host = `${labels.tls}.${TUNNEL_DOMAIN}`;
  const authority = await makeAuthority("bench");
  const { cert, key } = await authority.issue([`*.${TUNNEL_DOMAIN}`]);
  const pathOf = (name: string) => join(directory, `${name}.pem`);
  const certificate = {
    caPath: pathOf("ca"),
    certPath: pathOf("cert"),
    keyPath: pathOf("key"),
    bundlePath: pathOf("bundle"),
  };
  await writeFile(certificate.caPath, authority.pem);
  await writeFile(certificate.certPath, cert);
  await writeFile(certificate.keyPath, key, { mode: 0o600 });
  await writeFile(certificate.bundlePath, `${cert}\n${key}`, { mode: 0o600 });

  const apiSocket = join(directory, "api.sock");
  const api = stack.use(new FakeEdgeService({ platformId: PLATFORM_ID, socketPath: apiSocket, authority }));
  const tunnel = { proxyProtocol: false, publicPort: undefined };
  const route = {
    sandboxId: `sb-${PLATFORM_ID}`,
    workspaceId: `ws-${PLATFORM_ID}`,
    instanceId: `in-${PLATFORM_ID}`,
    state: RouteState.RUNNING,
    gateway: "",
    tokenEpoch: 0,
    tunnels: [
      { ...tunnel, port: APP_PORT, kind: PortKind.TLS, label: labels.tls },
      { ...tunnel, port: RAW_APP_PORT, kind: PortKind.RAW, label: labels.raw, publicPort: rawPort },
    ],
    inboundCidrAllowlist: undefined,
  };
  api.tell({ routes: [route] });
  await api.start();
  const running = stack.move();
  return {
    directory,
    app,
    load,
    tunnelDomain: TUNNEL_DOMAIN,
    host,
    rawPort,
    certificate,
    platformId: PLATFORM_ID,
    apiSocket,
    edgeReady: () => api.tellAll({ routes: [route] }),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
