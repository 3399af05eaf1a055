// Shared by the examples: what happens when a sandbox connects to an address.
import type { Sandbox } from "@sallyport/sdk";

const CONNECT = `
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).close()
    print("reached")
except OSError as error:
    print("not reached (%s)" % type(error).__name__)
`;

/** "reached", or "not reached" with the error that the sandboxed program sees. */
export async function tries(
  sandbox: Sandbox,
  address: string,
  port = Number(process.env["TARGET_PORT"] ?? 8099),
): Promise<string> {
  const { stdout } = await sandbox.run(["python3", "-c", CONNECT, address, String(port)], { check: true });
  return stdout.trim();
}
