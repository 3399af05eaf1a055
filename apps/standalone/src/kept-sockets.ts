// Listening sockets that the supervisor keeps beside the children who accept at them: whoever connects while a child is
// replaced, or starts again after a crash, waits in the kernel and is refused by nobody.
import { chmodSync, chownSync, rmSync } from "node:fs";
import type { BoundSocketOptions } from "node:net";
import { BoundSocket } from "node:net";
import { systemClock } from "@sallyport/appkit/clock";
import type { Address } from "./addresses.ts";

/** A socket by the name under which the child asks for it. */
export type KeptSocketOptions = { readonly name: string } & (TcpPlace | UnixPlace);

interface TcpPlace {
  readonly at: Address;
  /** Whether others listen there too: the kernel spreads connections over all of them. */
  readonly shared: boolean;
}

/** In a directory of root's. Owner and group may connect. */
interface UnixPlace {
  readonly path: string;
  readonly uid: number;
  readonly gid: number;
}

const HANDED_OVER = 0o660;
/** How long a predecessor may still hold the port while it stops, in milliseconds. */
const BUSY_MS = 10_000;

export class KeptSockets implements Disposable {
  readonly #options: readonly KeptSocketOptions[];
  readonly #sockets = new Map<string, BoundSocket>();

  constructor(options: readonly KeptSocketOptions[]) {
    this.#options = options;
  }

  /** Names and descriptors; those that are not there are bound. They listen from when a child does. */
  async open(signal: AbortSignal): Promise<readonly (readonly [name: string, fd: number])[]> {
    for (const options of this.#options) {
      if (!this.#sockets.has(options.name)) this.#sockets.set(options.name, await bindPatiently(options, signal));
    }
    return [...this.#sockets].map(([name, socket]) => [name, socket.fd()]);
  }

  /** Lets them go: from here on whoever connects is refused where no child listens. */
  [Symbol.dispose](): void {
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }
}

async function bindPatiently(options: KeptSocketOptions, signal: AbortSignal): Promise<BoundSocket> {
  const deadline = systemClock.monotonicMs() + BUSY_MS;
  for (;;) {
    try {
      return bind(options);
    } catch (error) {
      const busy = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
      if (!busy || systemClock.monotonicMs() > deadline) throw error;
      await systemClock.sleep(100, signal);
    }
  }
}

function bind(options: KeptSocketOptions): BoundSocket {
  if ("at" in options) return new BoundSocket({ ...options.at, reusePort: options.shared });
  const { path, uid, gid } = options;
  rmSync(path, { force: true }); // a killed supervisor's: this one holds the lock of the home
  const place: BoundSocketOptions & { readonly path: string } = { path }; // which its types do not know yet
  const socket = new BoundSocket(place);
  // Nobody can connect before a child listens.
  chownSync(path, uid, gid);
  chmodSync(path, HANDED_OVER);
  return socket;
}
