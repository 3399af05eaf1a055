// Our own edge as a front: the real one in one process with access log, limits and metrics, told of one sandbox whose
// gateway is the app.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePorts } from "@sallyport/testkit/platform";
import type { Front } from "./front.ts";
import { startFront } from "./front.ts";
import type { TunnelWorld } from "./tunnel-world.ts";

const PROGRAM = fileURLToPath(new URL("../../apps/tunnel-edge/test/bench-main.ts", import.meta.url));
const RAW_ADDRESS = "127.0.0.2";
/** As the supervisor starts it. */
const NODE_FLAGS = ["--max-semi-space-size=4"] as const;
/** What is measured is what a connection costs, not who is turned away. */
const MANY = "20000";

/** Its place is that of the raw port, or the door of TLS. */
export async function startOurs(world: TunnelWorld, { tls }: { readonly tls: boolean }): Promise<Front> {
  const { apiSocket, app, certificate, directory, platformId, rawPort, tunnelDomain } = world;
  const [port] = await freePorts();
  const stateDirectory = join(directory, `ours-${port}`);
  await mkdir(stateDirectory, { mode: 0o700 });
  const settings = {
    SALLYPORT_TUNNEL_STATE: stateDirectory,
    SALLYPORT_TUNNEL_LISTENERS: "1",
    SALLYPORT_TUNNEL_DOMAIN: tunnelDomain,
    SALLYPORT_TUNNEL_CONNECT_DOMAIN: "connect.localhost", // nobody asks for it
    SALLYPORT_TUNNEL_RAW_ADDRESS: RAW_ADDRESS,
    SALLYPORT_TUNNEL_RAW_PORTS: `${rawPort}-${rawPort}`,
    SALLYPORT_API_EDGE_SOCKET: apiSocket,
    SALLYPORT_GATEWAY_OPEN_SOCKET: app.socketPath,
    SALLYPORT_PLATFORM_ID: platformId,
    SALLYPORT_TUNNEL_CERT: certificate.certPath,
    SALLYPORT_TUNNEL_KEY: certificate.keyPath,
    SALLYPORT_TUNNEL_CONNECTIONS: MANY,
    SALLYPORT_TUNNEL_CONNECTIONS_PER_ADDRESS: MANY,
    SALLYPORT_TUNNEL_CONNECTIONS_PER_SANDBOX: MANY,
  };
  const argv = [
    process.execPath,
    ...NODE_FLAGS,
    "--conditions=@sallyport/source",
    PROGRAM,
    String(port),
    JSON.stringify(settings),
  ] as const;
  const place = tls ? { address: "127.0.0.1", port } : { address: RAW_ADDRESS, port: rawPort };
  const front = await startFront({ name: "ours", ...place }, argv);
  await world.edgeReady();
  return front;
}
