// Which PINGs wait for their answers: an answer that nobody waits for is taken for an error by some, and goes no further.

export class Pings {
  #ofClient = 0;
  #ofSandbox = 0;

  askedByClient(): void {
    this.#ofClient += 1;
  }

  askedBySandbox(): void {
    this.#ofSandbox += 1;
  }

  /** Whether the client waits for an answer of the sandbox. */
  answeredBySandbox(): boolean {
    if (this.#ofClient === 0) return false;
    this.#ofClient -= 1;
    return true;
  }

  answeredByClient(): boolean {
    if (this.#ofSandbox === 0) return false;
    this.#ofSandbox -= 1;
    return true;
  }
}
