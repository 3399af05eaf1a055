// Connections into sandboxes that wait for their next request, by instance and port. The last one in is the first out:
// the others grow old and go.

/** What a pool knows of a connection. */
export interface Poolable {
  readonly key: string;
  /** By the clock of `Deadlines`. */
  readonly idleSinceMs: number;
}

export class Pool<One extends Poolable> {
  readonly #idle = new Map<string, One[]>();
  readonly #maxPerKey: number;
  readonly #max: number;
  #count = 0;

  constructor(limits: { readonly maxPooledPerPort: number; readonly maxPooled: number }) {
    this.#maxPerKey = limits.maxPooledPerPort;
    this.#max = limits.maxPooled;
  }

  get size(): number {
    return this.#count;
  }

  /** The youngest, unless it has been idle since before this time. */
  take(key: string, idleSinceMs = 0): One | undefined {
    const stack = this.#idle.get(key);
    const youngest = stack?.at(-1);
    if (stack === undefined || youngest === undefined || youngest.idleSinceMs < idleSinceMs) return undefined;
    stack.pop();
    this.#count -= 1;
    return youngest;
  }

  /** False: there is no room, and the connection is still the caller's. */
  put(one: One): boolean {
    const stack = this.#idle.get(one.key);
    if (this.#count >= this.#max || (stack !== undefined && stack.length >= this.#maxPerKey)) return false;
    if (stack === undefined) this.#idle.set(one.key, [one]);
    else stack.push(one);
    this.#count += 1;
    return true;
  }

  /** This one is gone, whether it was in here or not. */
  forget(one: One): void {
    const stack = this.#idle.get(one.key);
    if (stack === undefined) return;
    const at = stack.indexOf(one);
    if (at !== -1) {
      stack.splice(at, 1);
      this.#count -= 1;
    }
    if (stack.length === 0) this.#idle.delete(one.key);
  }

  /** All of them, and the pool is empty. */
  drain(): One[] {
    const all = [...this.#idle.values()].flat();
    this.#idle.clear();
    this.#count = 0;
    return all;
  }
}
