// Shared by the examples: what happens when a sandbox connects to addresses.
import type { Sandbox } from "@sallyport/sdk";

const CONNECT = `
import socket, sys, threading
results = {}
def attempt(address, port):
    try:
        socket.create_connection((address, int(port)), 1).close()
        results[address] = "reached"
    except OSError as error:
        results[address] = "not reached (%s)" % type(error).__name__
threads = [threading.Thread(target=attempt, args=word.split(",")) for word in sys.argv[1:]]
for thread in threads: thread.start()
for thread in threads: thread.join()
for word in sys.argv[1:]: print(results[word.split(",")[0]])
`;

/** The port of the examples' targets. */
const TARGET_PORT = Number(process.env["TARGET_PORT"] ?? 8099);

/** Tries all at once; prints "reached", or "not reached" with the error that the sandboxed program sees, for each. */
export async function showTries(
  sandbox: Sandbox,
  destinations: readonly { readonly address: string; readonly port?: number; readonly label?: string }[],
): Promise<void> {
  const words = destinations.map(({ address, port = TARGET_PORT }) => `${address},${port}`);
  const { stdout } = await sandbox.run(["python3", "-c", CONNECT, ...words], { check: true });
  const results = stdout.trim().split("\n");
  for (const [index, { address, label }] of destinations.entries()) {
    console.log(`${label === undefined ? "" : `${label}, `}${address}: ${results[index]}`);
  }
}
