// What the two directions of a connection share.
import type { GracefulEnd } from "@sallyport/dataplane/http2";
import type { Http2Rates } from "@sallyport/edge";
import type { FrameOutput } from "./frame-output.ts";
import type { Http2Limits } from "./limits.ts";
import type { Pings } from "./pings.ts";
import type { Place } from "./request-decision.ts";
import type { SettingsExchange } from "./settings-exchange.ts";
import type { Streams } from "./streams.ts";

export interface Shared {
  readonly place: Place;
  readonly limits: Http2Limits;
  readonly streams: Streams;
  readonly settings: SettingsExchange;
  readonly pings: Pings;
  readonly rates: Http2Rates;
  readonly toClient: FrameOutput;
  readonly toSandbox: FrameOutput;
  readonly drain: GracefulEnd;
}
