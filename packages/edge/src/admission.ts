// Who may connect: how many connections there are, in all, of one address, to one sandbox, and how many of them are still
// shaking hands. Who has shown a good token for a sandbox keeps its places there; who has not makes room for others.
import { groupOf } from "./address-group.ts";
import type { Member } from "./crowd.ts";
import { Crowd } from "./crowd.ts";
import type { EdgeLimits } from "./edge-limits.ts";
import { OWN_HANDSHAKE_SHED_MS } from "./edge-limits.ts";

/** Which bound a connection met, or that it made room for another one. */
export type Refused = "connections" | "address" | "handshakes" | "sandbox" | "shed";

const TRUSTED = "trusted";

export class Admission {
  readonly #limits: EdgeLimits;
  readonly #connections: Crowd;
  readonly #handshakes: Crowd;
  readonly #bySandbox = new Map<string, Crowd>();
  #onEmpty: (() => void)[] = [];

  readonly #isTrustedPeer: (address: string) => boolean;

  /** Peers that are trusted, the operator's own proxies, speak for many: they are bounded together with all, not alone. */
  constructor(limits: EdgeLimits, isTrustedPeer: (address: string) => boolean = () => false) {
    const { connections: max, connectionsPerAddress: maxPerGroup } = limits;
    this.#limits = limits;
    this.#isTrustedPeer = isTrustedPeer;
    this.#connections = new Crowd({ max, maxPerGroup, exempt: TRUSTED });
    this.#handshakes = new Crowd({ max: limits.handshakes, ownAfterMs: OWN_HANDSHAKE_SHED_MS, exempt: TRUSTED });
  }

  get open(): number {
    return this.#connections.size;
  }

  get handshakes(): number {
    return this.#handshakes.size;
  }

  /** A connection of this address, from its acceptance to its end; or why not. `shed` ends it, to make room. */
  connection(address: string, shed: () => void): Disposable | Refused {
    const member = this.#member(address, shed);
    if (this.#connections.isFullFor(member.group)) return "address";
    if (!this.#connections.admit(member)) return "connections";
    return {
      [Symbol.dispose]: () => {
        this.#connections.leave(member);
        if (this.open === 0) for (const tell of this.#onEmpty.splice(0)) tell();
      },
    };
  }

  /** A handshake under way, or that there is no place for it. */
  handshake(address: string, shed: () => void): Disposable | Refused {
    return this.#handshake(this.#member(address, shed));
  }

  /** The same of a trusted peer that has yet to say for whom it comes. */
  announcement(shed: () => void): Disposable | Refused {
    return this.#handshake({ group: TRUSTED, sinceMs: performance.now(), shed });
  }

  /** A connection to this sandbox, or why not. */
  toSandbox(sandboxId: string, address: string, shed: () => void): Disposable | Refused {
    const crowd =
      this.#bySandbox.get(sandboxId) ?? new Crowd({ max: this.#limits.connectionsPerSandbox, exempt: TRUSTED });
    this.#bySandbox.set(sandboxId, crowd);
    const member = this.#member(address, shed);
    if (!crowd.admit(member)) return "sandbox";
    return {
      [Symbol.dispose]: () => {
        crowd.leave(member);
        if (crowd.size === 0 && this.#bySandbox.get(sandboxId) === crowd) this.#bySandbox.delete(sandboxId);
      },
    };
  }

  /** Somebody at this address has shown a good token for the sandbox: there it keeps its places, and nowhere else. */
  prove(address: string, sandboxId: string): void {
    this.#bySandbox.get(sandboxId)?.prove(groupOf(address));
  }

  /** Resolves when no connection is open, at the latest after so many milliseconds. */
  async empty(timeoutMs: number): Promise<void> {
    if (this.open === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onEmpty.push(resolve);
    const timer = setTimeout(resolve, timeoutMs);
    await promise;
    clearTimeout(timer);
  }

  #handshake(member: Member): Disposable | Refused {
    if (!this.#handshakes.admit(member)) return "handshakes";
    return { [Symbol.dispose]: () => this.#handshakes.leave(member) };
  }

  #member(address: string, shed: () => void): Member {
    return { group: this.#isTrustedPeer(address) ? TRUSTED : groupOf(address), sinceMs: performance.now(), shed };
  }
}
