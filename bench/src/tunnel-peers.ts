// HAProxy (`mode tcp`) and nginx (`stream`) as peers: one process with one thread each, no log, no limit.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePorts } from "@sallyport/testkit/platform";
import { HAPROXY } from "./connect-haproxy.ts";
import type { Front } from "./front.ts";
import { startFront } from "./front.ts";
import type { TunnelWorld } from "./tunnel-world.ts";

export const NGINX = "/usr/sbin/nginx";
export const NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so";

export interface PeerOptions {
  readonly tls: boolean;
  /** Where the app is: at a Unix socket, as for our edge, or over TCP. */
  readonly to: "unix" | "tcp";
  /** HAProxy: told to let bytes stay in the kernel. By itself, with `splice-auto`, it does not between these sockets. */
  readonly splices?: boolean;
  /** As many as it must be able to hold. */
  readonly connections?: number;
}

/** Beside those that are held. */
const SPARE_CONNECTIONS = 100;

export async function startHaproxy(world: TunnelWorld, options: PeerOptions): Promise<Front> {
  const { app, certificate, directory } = world;
  const { connections = 1_000, splices = false, tls, to } = options;
  const [port] = await freePorts();
  const path = join(directory, `haproxy-${port}.cfg`);
  const config = `global
  nbthread 1
  maxconn ${connections + SPARE_CONNECTIONS}
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  ${splices ? "option splice-request\n  option splice-response" : ""}
frontend in
  bind 127.0.0.1:${port}${tls ? ` ssl crt ${certificate.bundlePath}` : ""}
  default_backend app
backend app
  server app ${to === "unix" ? `unix@${app.socketPath}` : `127.0.0.1:${app.port}`}
`;
  await writeFile(path, config);
  const name = `haproxy-${to}${splices ? "-splice" : ""}`;
  return startFront({ name, address: "127.0.0.1", port }, [HAPROXY, "-db", "-f", path]);
}

export async function startNginx(world: TunnelWorld, options: PeerOptions): Promise<Front> {
  const { app, certificate, directory } = world;
  const { connections = 1_000, tls, to } = options;
  const [port] = await freePorts();
  const home = join(directory, `nginx-${port}`);
  await mkdir(home);
  // Without a master, whose worker would outlive it when it is killed.
  const config = `load_module ${NGINX_STREAM};
daemon off;
master_process off;
pid ${home}/nginx.pid;
error_log stderr warn;
events {
  worker_connections ${2 * (connections + SPARE_CONNECTIONS)};
}
stream {
  server {
    listen 127.0.0.1:${port}${tls ? " ssl" : ""};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate ${certificate.certPath};
    ssl_certificate_key ${certificate.keyPath};
    proxy_timeout 1h;
    proxy_pass ${to === "unix" ? `unix:${app.socketPath}` : `127.0.0.1:${app.port}`};
  }
}
`;
  const path = join(home, "nginx.conf");
  await writeFile(path, config);
  const argv = [NGINX, "-e", "stderr", "-c", path] as const;
  return startFront({ name: `nginx-${to}`, address: "127.0.0.1", port }, argv);
}
