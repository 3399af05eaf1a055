// What was verified, by its exact characters.

interface Entry<Value> {
  readonly value: Value;
  /** Asked for since the hand last passed. */
  used: boolean;
}

/**
 * A bounded map that forgets what was not asked for lately (second chance): a hit writes one flag and moves nothing. Who
 * fills it with tokens of their own displaces idle ones first.
 */
export class TokenCache<Value> {
  readonly #entries = new Map<string, Entry<Value>>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(text: string): Value | undefined {
    const entry = this.#entries.get(text);
    if (entry === undefined) return undefined;
    entry.used = true;
    return entry.value;
  }

  delete(text: string): void {
    this.#entries.delete(text);
  }

  set(text: string, value: Value): void {
    this.#entries.delete(text);
    if (this.#entries.size >= this.#max) this.#forgetOne();
    this.#entries.set(ownCopy(text), { value, used: false });
  }

  #forgetOne(): void {
    // Ends: every entry that is passed loses its flag, and is met again without.
    for (const [text, entry] of this.#entries) {
      this.#entries.delete(text);
      if (!entry.used) return;
      entry.used = false;
      this.#entries.set(text, entry);
    }
  }
}

/** The same characters in a string of their own: a slice would keep alive the whole request head it was cut from. */
function ownCopy(text: string): string {
  return new TextDecoder("latin1").decode(new TextEncoder().encode(text));
}
