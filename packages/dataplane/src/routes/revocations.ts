// Tokens that are revoked before their time, by sandbox. Bounded: where there are too many, the sandbox that has most of
// them is closed, so that all its tokens so far are refused, and nobody else's truth is held up.
import type { ClosedSandbox, RevokedToken } from "./change.ts";
import { MAX_REVOKED_TOKENS, MAX_REVOKED_TOKENS_PER_SANDBOX } from "./limits.ts";

export class Revocations {
  /** End of each token, by its id, by its sandbox. */
  readonly #tokens = new Map<string, Map<string, number>>();
  readonly #closed = new Map<string, ClosedSandbox>();
  #size = 0;

  has(tokenId: string, sandboxId: string): boolean {
    return this.#tokens.get(sandboxId)?.has(tokenId) === true;
  }

  /** Whether tokens of this epoch are all refused, revoked or not. */
  closes(sandboxId: string, epoch: number): boolean {
    const closed = this.#closed.get(sandboxId);
    return closed !== undefined && epoch <= closed.epoch;
  }

  add({ expiresAtMs, sandboxId, tokenId }: RevokedToken, epochOf: (sandboxId: string) => number): void {
    const tokens = this.#tokens.get(sandboxId) ?? new Map<string, number>();
    this.#tokens.set(sandboxId, tokens);
    if (!tokens.has(tokenId)) this.#size += 1;
    tokens.set(tokenId, expiresAtMs);
    if (tokens.size > MAX_REVOKED_TOKENS_PER_SANDBOX) this.#closeOne(sandboxId, epochOf(sandboxId));
    else if (this.#size > MAX_REVOKED_TOKENS) {
      const most = this.#fullest();
      this.#closeOne(most, epochOf(most));
    }
  }

  close(closed: ClosedSandbox): void {
    this.#closed.set(closed.sandboxId, closed);
  }

  /** Forgets all of a sandbox: none of its tokens leads anywhere any more, or those of this epoch are over for good. */
  forget(sandboxId: string): void {
    this.#size -= this.#tokens.get(sandboxId)?.size ?? 0;
    this.#tokens.delete(sandboxId);
    this.#closed.delete(sandboxId);
  }

  /** Forgets what has expired by then. */
  forgetExpired(nowMs: number): void {
    for (const [sandboxId, tokens] of this.#tokens) {
      for (const [tokenId, expiresAtMs] of tokens) {
        if (expiresAtMs <= nowMs && tokens.delete(tokenId)) this.#size -= 1;
      }
      if (tokens.size === 0) this.#tokens.delete(sandboxId);
    }
    for (const { sandboxId, untilMs } of this.#closed.values()) {
      if (untilMs <= nowMs) this.#closed.delete(sandboxId);
    }
  }

  tokens(): RevokedToken[] {
    return [...this.#tokens].flatMap(([sandboxId, tokens]) =>
      [...tokens].map(([tokenId, expiresAtMs]) => ({ tokenId, sandboxId, expiresAtMs })),
    );
  }

  closed(): ClosedSandbox[] {
    return [...this.#closed.values()];
  }

  /** Until the last of those that are forgotten has expired, all of its tokens so far are refused. */
  #closeOne(sandboxId: string, epoch: number): void {
    const ends = [...(this.#tokens.get(sandboxId)?.values() ?? [])];
    const before = this.#closed.get(sandboxId)?.untilMs ?? 0;
    this.forget(sandboxId);
    this.#closed.set(sandboxId, { sandboxId, epoch, untilMs: ends.reduce((last, end) => Math.max(last, end), before) });
  }

  #fullest(): string {
    let found = "";
    let most = 0;
    for (const [sandboxId, { size }] of this.#tokens) if (size > most) [found, most] = [sandboxId, size];
    return found;
  }
}
