// A failure that is told in words, without a stack.

/** Something the person at the keyboard can understand and mend. */
export class BootstrapError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "BootstrapError";
  }
}
