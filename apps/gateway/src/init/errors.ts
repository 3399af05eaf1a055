// What init did wrong, as an error: whoever catches it closes the link and never believes that init again.

/** Init broke the protocol. The message is made of our own words and numbers, never of init's bytes. */
export class InitProtocolError extends Error {
  readonly code = "InitProtocol";

  constructor(message: string) {
    super(message);
    this.name = "InitProtocolError";
  }
}
