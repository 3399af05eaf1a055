// One platform per address of raw ports. Processes of one tunnel-edge share each port, and so would those of another
// platform on this machine: clients of one's sandboxes would come to the other's.
import type { BoundSocketOptions } from "node:net";
import { BoundSocket } from "node:net";

/** Takes an address until disposal, or the end of this process. Throws where another platform has it. */
export function claimRawAddress(address: string): Disposable {
  // A name without a file, which the kernel gives to one at a time and takes back by itself.
  const place: BoundSocketOptions & { readonly path: string } = { path: `\0sallyport-raw-ports-${address}` };
  try {
    return new BoundSocket(place);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EADDRINUSE")) throw error;
    throw new Error(
      `another platform of this machine has its raw ports at ${address}; name another address in SALLYPORT_TUNNEL_RAW_ADDRESS`,
      { cause: error },
    );
  }
}
