// What the two directions of a connection share.
import type { FrameOutput } from "./frame-output.ts";
import type { Http2Limits } from "./limits.ts";
import type { Pings } from "./pings.ts";
import type { Rates } from "./rates.ts";
import type { Place } from "./request-decision.ts";
import type { SettingsExchange } from "./settings-exchange.ts";
import type { Streams } from "./streams.ts";

export interface Shared {
  readonly place: Place;
  readonly limits: Http2Limits;
  readonly streams: Streams;
  readonly settings: SettingsExchange;
  readonly pings: Pings;
  readonly rates: Rates;
  readonly toClient: FrameOutput;
  readonly toSandbox: FrameOutput;
  readonly drain: Drain;
}

/** Where the end in good order stands. */
export interface Drain {
  /** Whether the client is told that streams it begins now come to nothing. */
  readonly refusesStreams: boolean;
  /** The client answers a PING; whether it was the drain's own. */
  takePong(frame: Buffer): boolean;
  /** The sandbox has said itself which stream is its last. */
  onSandboxGoaway(lastStreamId: number): void;
}
