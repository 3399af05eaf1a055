// Connections that were turned away on their way to a known port of a sandbox, as they are written down: a line each while
// they are few; where they are many, now and then one for each port and reason, with their number. Strangers decide how many
// there are, so they do not decide how long the log is, and still all are counted.
import { TokenBucket } from "@sallyport/edge";
import { REFUSAL_LINES_BURST, REFUSAL_LINES_PER_SECOND, REFUSALS_APART, REFUSALS_TOLD_MS } from "./limits.ts";
import type { RawRefusal } from "./raw-door.ts";
import type { TunnelKind } from "./tunnel-end.ts";

/** One connection, or many that were alike. */
export interface Refusal {
  /** With the next three undefined: of connections that are too different to be told apart. */
  readonly sandboxId: string | undefined;
  /** In the sandbox. */
  readonly port: number | undefined;
  readonly kind: TunnelKind | undefined;
  readonly refusal: RawRefusal | undefined;
  /** The client's address; undefined of many, and of one that was gone. */
  readonly peer: string | undefined;
  readonly times: number;
}

interface Many {
  readonly like: Omit<Refusal, "times">;
  times: number;
}

const ANY: Omit<Refusal, "times"> = {
  sandboxId: undefined,
  port: undefined,
  kind: undefined,
  refusal: undefined,
  peer: undefined,
};

/** Disposal tells of those that are not told yet. */
export class Refusals implements Disposable {
  readonly #write: (refusal: Refusal) => void;
  readonly #lines: TokenBucket;
  readonly #many = new Map<string, Many>();
  #timer: NodeJS.Timeout | undefined;

  /** `now`: milliseconds of a clock that never goes back. */
  constructor(write: (refusal: Refusal) => void, now: () => number = () => performance.now()) {
    this.#write = write;
    this.#lines = new TokenBucket(REFUSAL_LINES_BURST, REFUSAL_LINES_PER_SECOND, now);
  }

  add(one: Omit<Refusal, "times">): void {
    if (this.#lines.take()) {
      this.#write({ ...one, times: 1 });
      return;
    }
    this.#manyLike(one).times += 1;
    this.#timer ??= setTimeout(() => this.#tell(), REFUSALS_TOLD_MS);
  }

  [Symbol.dispose](): void {
    this.#tell();
  }

  #manyLike(one: Omit<Refusal, "times">): Many {
    const { kind, port, refusal, sandboxId } = one;
    const own = `${sandboxId} ${port} ${kind} ${refusal}`;
    const isApart = this.#many.has(own) || this.#many.size < REFUSALS_APART;
    const key = isApart ? own : "";
    const many = this.#many.get(key) ?? { like: isApart ? { ...one, peer: undefined } : ANY, times: 0 };
    this.#many.set(key, many);
    return many;
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { like, times } of this.#many.values()) this.#write({ ...like, times });
    this.#many.clear();
  }
}
