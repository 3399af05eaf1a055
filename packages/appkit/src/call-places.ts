// How many calls of one workspace may be in flight. Whoever opens streams and waits without end leaves the others theirs.
import { AppError } from "./errors.ts";
import type { Principal } from "./principals.ts";

/** Where calls take places. */
export interface Places {
  /** Takes a place until the answer is called, once. Throws ResourceExhausted when none is free. */
  enter(caller: Principal): () => void;
}

/** Counts the calls of each workspace. Callers of the platform's own are not counted. */
export class CallPlaces implements Places {
  readonly #max: number;
  readonly #taken = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Counts a call until the answer is called, once. Throws ResourceExhausted when there are that many already. */
  enter(caller: Principal): () => void {
    if (caller.kind !== "workspace" && caller.kind !== "io_grant") return () => {};
    const { workspaceId } = caller;
    const taken = this.#taken.get(workspaceId) ?? 0;
    if (taken >= this.#max) {
      throw new AppError(
        "ResourceExhausted",
        `the workspace has ${this.#max} calls in flight here, the most there may be`,
        {
          hint: "end streams and waits that are not needed",
          retryAfterMs: 1_000,
        },
      );
    }
    this.#taken.set(workspaceId, taken + 1);
    return () => {
      const left = (this.#taken.get(workspaceId) ?? 0) - 1;
      if (left > 0) this.#taken.set(workspaceId, left);
      else this.#taken.delete(workspaceId);
    };
  }
}
