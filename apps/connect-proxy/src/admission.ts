// Who may connect: how many connections there are, in all, of one address, to one sandbox.
import { isIPv6 } from "node:net";
import type { EdgeLimits } from "./edge-limits.ts";

/** Which bound a connection met. */
export type Refused = "connections" | "address" | "handshakes" | "sandbox";

/** Counts connections. Every place that is taken is given back once, by whoever holds it. */
export class Admission {
  readonly #limits: EdgeLimits;
  readonly #byAddress = new Map<string, number>();
  readonly #bySandbox = new Map<string, number>();
  #open = 0;
  #handshakes = 0;
  #onEmpty: (() => void)[] = [];

  constructor(limits: EdgeLimits) {
    this.#limits = limits;
  }

  get open(): number {
    return this.#open;
  }

  get handshakes(): number {
    return this.#handshakes;
  }

  /** A connection of this address, from its acceptance to its end; or why not. */
  connection(address: string): Disposable | Refused {
    const group = groupOf(address);
    if (this.#open >= this.#limits.connections) return "connections";
    if (this.#handshakes >= this.#limits.handshakes) return "handshakes";
    if ((this.#byAddress.get(group) ?? 0) >= this.#limits.connectionsPerAddress) return "address";
    this.#open += 1;
    add(this.#byAddress, group, 1);
    return once(() => {
      this.#open -= 1;
      add(this.#byAddress, group, -1);
      if (this.#open === 0) for (const tell of this.#onEmpty.splice(0)) tell();
    });
  }

  /** Resolves when no connection is open, at the latest after so many milliseconds. */
  async empty(timeoutMs: number): Promise<void> {
    if (this.#open === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onEmpty.push(resolve);
    const timer = setTimeout(resolve, timeoutMs);
    await promise;
    clearTimeout(timer);
  }

  /** A handshake under way. Bounded by {@link connection}. */
  handshake(): Disposable {
    this.#handshakes += 1;
    return once(() => {
      this.#handshakes -= 1;
    });
  }

  /** A connection to this sandbox, or why not. */
  toSandbox(sandboxId: string): Disposable | Refused {
    if ((this.#bySandbox.get(sandboxId) ?? 0) >= this.#limits.connectionsPerSandbox) return "sandbox";
    add(this.#bySandbox, sandboxId, 1);
    return once(() => add(this.#bySandbox, sandboxId, -1));
  }
}

/** Whose connections count together: of IPv6 a /64, since whoever has one address has them all. */
export function groupOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "");
  if (!isIPv6(plain)) return plain;
  const [head = "", tail] = (plain.split("%")[0] ?? "").split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array.from({ length: zeros }, () => "0"), ...right];
  return `${groups.slice(0, 4).join(":")}::/64`;
}

function add(counts: Map<string, number>, name: string, change: 1 | -1): void {
  const count = (counts.get(name) ?? 0) + change;
  if (count === 0) counts.delete(name);
  else counts.set(name, count);
}

function once(release: () => void): Disposable {
  let isHeld = true;
  return {
    [Symbol.dispose]() {
      if (isHeld) release();
      isHeld = false;
    },
  };
}
