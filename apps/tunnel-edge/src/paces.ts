// How fast a tunnel may be: all connections to one declared port share one rate each way. Where none is set, nothing is done.
import type { Duplex } from "node:stream";
import type { TunnelRoute } from "@sallyport/dataplane/routes";
import { BURST_SECONDS } from "./limits.ts";
import { PacedStream } from "./paced-stream.ts";

/** A rate that is kept in the long run: who has sent more waits until it is made up for. */
export class Pace {
  readonly #bytesPerMs: number;
  readonly #now: () => number;
  /** When all that was taken is made up for. */
  #evenMs: number;

  /** `now`: milliseconds of a clock that never goes back. */
  constructor(bytesPerSecond: number, now: () => number) {
    this.#bytesPerMs = bytesPerSecond / 1_000;
    this.#now = now;
    this.#evenMs = now();
  }

  /** Takes so many bytes, and answers in how many milliseconds they may go on. */
  take(bytes: number): number {
    const nowMs = this.#now();
    const burstMs = BURST_SECONDS * 1_000;
    this.#evenMs = Math.max(this.#evenMs, nowMs - burstMs) + bytes / this.#bytesPerMs;
    return Math.max(0, this.#evenMs - nowMs);
  }
}

interface TunnelPaces {
  readonly fromClient: Pace;
  readonly toClient: Pace;
  connections: number;
}

export class Paces {
  readonly #bytesPerSecond: number;
  /** By label; of tunnels with open connections. */
  readonly #byLabel = new Map<string, TunnelPaces>();

  /** 0: no limit. */
  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** A client's stream at the pace of its tunnel. It ends as the client's ends, and ends the client's. */
  paced({ label }: TunnelRoute, client: Duplex): Duplex {
    if (this.#bytesPerSecond === 0) return client;
    const paces = this.#byLabel.get(label) ?? this.#make();
    this.#byLabel.set(label, paces);
    paces.connections += 1;
    client.once("close", () => {
      paces.connections -= 1;
      if (paces.connections === 0) this.#byLabel.delete(label);
    });
    return new PacedStream(client, paces);
  }

  #make(): TunnelPaces {
    const now = () => performance.now();
    const [fromClient, toClient] = [new Pace(this.#bytesPerSecond, now), new Pace(this.#bytesPerSecond, now)];
    return { fromClient, toClient, connections: 0 };
  }
}
