// The way of bytes into a sandbox: a server inside that answers what it is sent, reached through the gateway's door as
// the edges reach it.
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { openPort } from "@sallyport/dataplane";
import type { Sandbox } from "@sallyport/sdk";
import type { TestPlatform } from "@sallyport/testkit/platform";
import { z } from "zod";

const PORT = 8080;
const TIMEOUT_MS = 30_000;

/** The command of a sandbox that answers each connection with what it sends first. */
export const ECHO_SERVER: readonly string[] = [
  "python3",
  "-c",
  `import socket
server = socket.create_server(("0.0.0.0", ${PORT}))
while True:
    connection, _ = server.accept()
    with connection:
        connection.sendall(connection.recv(64))
`,
];

const recordShape = z.object({ sandboxId: z.string(), instanceId: z.string() });

/** Instances by sandbox, from the worker's journal: no public call names them. */
export async function instancesOf({ home }: Pick<TestPlatform, "home">): Promise<ReadonlyMap<string, string>> {
  const directory = join(home, "worker/instances");
  const instances = new Map<string, string>();
  for (const name of await readdir(directory)) {
    const record = recordShape.safeParse(JSON.parse(await readFile(join(directory, name), "utf8")));
    if (record.success) instances.set(record.data.sandboxId, record.data.instanceId);
  }
  return instances;
}

/** Connects, says a word and waits for it to come back. */
export async function echo(
  { home }: TestPlatform,
  instances: ReadonlyMap<string, string>,
  { id }: Sandbox,
): Promise<void> {
  const instanceId = instances.get(id);
  if (instanceId === undefined) throw new Error(`the worker has no instance of ${id}`);
  const target = { sandboxId: id, instanceId, port: PORT, grantPort: PORT };
  const socket = await openPort(join(home, "run/gateway/open/open.sock"), target, { timeoutMs: TIMEOUT_MS });
  try {
    const answer = once(socket, "data", { signal: AbortSignal.timeout(TIMEOUT_MS) });
    socket.resume(); // it comes paused
    socket.write("hi");
    const [data] = (await answer) as [Buffer];
    if (data.toString() !== "hi") throw new Error("another word came back");
  } finally {
    socket.destroy();
  }
}
