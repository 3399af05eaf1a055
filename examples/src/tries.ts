// Shared by the examples: what happens when a sandbox connects to addresses.
import type { Sandbox } from "@sallyport/sdk";

const CONNECT = `
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 1).close()
    print("reached")
except OSError as error:
    print("not reached (%s)" % type(error).__name__)
`;

/** The port of the examples' targets. */
export const TARGET_PORT: number = Number(process.env["TARGET_PORT"] ?? 8099);

/** Tries all at once; prints "reached", or "not reached" with the error that the sandboxed program sees, for each. */
export async function showTries(
  sandbox: Sandbox,
  destinations: readonly { readonly address: string; readonly port?: number; readonly label?: string }[],
): Promise<void> {
  const tries = destinations.map(async ({ address, port = TARGET_PORT, label }) => {
    const { stdout } = await sandbox.run(["python3", "-c", CONNECT, address, String(port)], { check: true });
    return `${label === undefined ? "" : `${label}, `}${address}: ${stdout.trim()}`;
  });
  for (const line of await Promise.all(tries)) console.log(line);
}
