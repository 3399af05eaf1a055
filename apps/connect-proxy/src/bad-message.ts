// A message that is not understood in one way only.
import type { RefusalCode } from "./exchange.ts";

/** Bytes of a peer that are no sound HTTP. The message names what is wrong, never what was sent. */
export class BadMessage extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode, problem: string) {
    super(problem);
    this.name = "BadMessage";
    this.code = code;
  }
}

/** Of a client. */
export function malformed(problem: string): BadMessage {
  return new BadMessage("MalformedRequest", problem);
}

/** Of an app. */
export function badAnswer(problem: string): BadMessage {
  return new BadMessage("BadAnswer", problem);
}
