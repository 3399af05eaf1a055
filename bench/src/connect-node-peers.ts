// Proxies of Node's world as peers: each in a process of its own, each verifying tokens.
import { fileURLToPath } from "node:url";
import { freePorts } from "@sallyport/testkit/platform";
import type { ConnectFront } from "./connect-front.ts";
import { startConnectFront } from "./connect-front.ts";
import type { ConnectWorld } from "./connect-world.ts";

/** What a peer's program is told, as JSON. */
export interface NodePeerOptions {
  readonly port: number;
  /** Of the app. */
  readonly socketPath: string;
  /** PEM; tokens are ES256. */
  readonly publicKey: string;
  readonly issuer: string;
  readonly audience: string;
}

const PROGRAMS = {
  "fastify-http-proxy": "connect-fastify-main.ts",
  "http-proxy-3": "connect-http-proxy-main.ts",
} as const;

export async function startNodePeer(world: ConnectWorld, name: keyof typeof PROGRAMS): Promise<ConnectFront> {
  const { app, host, tokens } = world;
  const [port] = await freePorts();
  const options: NodePeerOptions = {
    port,
    socketPath: app.socketPath,
    publicKey: tokens.es256Key,
    issuer: tokens.issuer,
    audience: tokens.sandboxId,
  };
  const program = fileURLToPath(new URL(PROGRAMS[name], import.meta.url));
  return startConnectFront({ name, port, host, tokens: tokens.es256 }, [
    process.execPath,
    program,
    JSON.stringify(options),
  ]);
}
