// What use-cases are given: wired once in app.ts, replaced at will in tests.
import type { Clock } from "@sallyport/appkit/clock";
import type { Db } from "../store/database.ts";
import type { BuildContexts } from "./build-contexts.ts";
import type { IoTokens } from "./io-tokens.ts";
import type { MasterKey } from "./master-key.ts";
import type { Turnstile } from "./turnstile.ts";
import type { WakeHub } from "./wake-hub.ts";

export interface ServiceDeps {
  readonly db: Db;
  readonly hub: WakeHub;
  /** Where creates queue for the database. */
  readonly creates: Turnstile;
  readonly clock: Clock;
  readonly ioTokens: IoTokens;
  readonly pageTokenKey: Uint8Array;
  /** Seals what is kept secret. */
  readonly master: Pick<MasterKey, "id" | "seal" | "open">;
  readonly contexts: BuildContexts;
  readonly platformId: string;
}
