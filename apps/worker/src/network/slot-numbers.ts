// Which slot comes next: numbers go round, a number that was just given back rests, and each life has its own mark.

import { SLOT_COUNT } from "./addresses.ts";
import { NetworkError } from "./errors.ts";

/** How long an address stays unused after its slot is gone: what still flows to it finds nobody. */
export const REST_MS = 60_000;

/** The highest bit of a mark tells connections apart that come in. */
const MARKS = 0x7fff_ffff;

export interface SlotLife {
  readonly slot: number;
  /** Connection mark, 1 to 2^31 - 1. */
  readonly mark: number;
}

export interface SlotNumbersOptions {
  /** Lives given out so far. */
  readonly lives: number;
  readonly monotonicMs: () => number;
  readonly slotCount?: number;
}

export class SlotNumbers {
  readonly #monotonicMs: () => number;
  readonly #slotCount: number;
  readonly #inUse = new Set<number>();
  readonly #restUntil = new Map<number, number>();
  #lives: number;

  constructor(options: SlotNumbersOptions) {
    this.#lives = options.lives;
    this.#monotonicMs = options.monotonicMs;
    this.#slotCount = options.slotCount ?? SLOT_COUNT;
  }

  /** To be kept before the life is used, so that no mark is given out twice. */
  get lives(): number {
    return this.#lives;
  }

  /** A slot of an earlier run that goes on. */
  occupy(slot: number): void {
    this.#inUse.add(slot);
  }

  /** Throws NetworkError `NoSlotLeft` where every number is in use or rests. */
  next(): SlotLife {
    const now = this.#monotonicMs();
    for (let tried = 0; tried < this.#slotCount; tried++) {
      const slot = this.#lives % this.#slotCount;
      this.#lives += 1;
      const rests = (this.#restUntil.get(slot) ?? Number.NEGATIVE_INFINITY) > now;
      if (rests || this.#inUse.has(slot)) continue;
      this.#restUntil.delete(slot);
      this.#inUse.add(slot);
      return { slot, mark: ((this.#lives - 1) % MARKS) + 1 };
    }
    throw new NetworkError("NoSlotLeft", "every slot is in use or rests");
  }

  /** The slot is gone; its number rests. */
  release(slot: number): void {
    if (this.#inUse.delete(slot)) this.#restUntil.set(slot, this.#monotonicMs() + REST_MS);
  }
}
