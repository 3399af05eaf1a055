// Our own proxy as a front: the real one with access log, limits and metrics, told of one sandbox whose gateway is the app.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePorts } from "@sallyport/testkit/platform";
import type { ConnectFront } from "./connect-front.ts";
import { startConnectFront } from "./connect-front.ts";
import type { ConnectWorld } from "./connect-world.ts";

const PROGRAM = fileURLToPath(new URL("../../apps/connect-proxy/test/bench-main.ts", import.meta.url));

/** `tls`: TLS with HTTP/1.1 and HTTP/2, as it is always served; false: HTTP/1.1 alone, in the clear. */
export async function startOurs(world: ConnectWorld, { tls }: { readonly tls: boolean }): Promise<ConnectFront> {
  const { app, certificate, connectDomain, directory, host, tokens } = world;
  const { instanceId, issuer, keySet, sandboxId, workspaceId } = tokens;
  const [port] = await freePorts();
  const stateDirectory = join(directory, `ours-${port}`);
  await mkdir(stateDirectory, { mode: 0o700 });
  const options = {
    port,
    connectDomain,
    stateDirectory,
    issuer,
    keySet,
    sandboxId,
    workspaceId,
    instanceId,
    gateway: app.socketPath,
    ...(tls ? { tls: { chain: certificate.certPath, key: certificate.keyPath } } : {}),
  };
  const argv = [process.execPath, "--conditions=@sallyport/source", PROGRAM, JSON.stringify(options)] as const;
  return startConnectFront({ name: "ours", port, host, tokens: tokens.ours }, argv);
}
