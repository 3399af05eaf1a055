// The keys that gateways verify SandboxIO tokens with: the whole set at once, and again whenever it has changed.
import { KEYS_TOPIC } from "../store/topics.ts";
import type { ServiceDeps } from "./deps.ts";
import type { IoPublicKey } from "./io-tokens.ts";

/** A wake-up may be lost: look now and then. */
const LOOK_EVERY_MS = 10_000;

export async function* watchKeys(
  deps: ServiceDeps,
  signal: AbortSignal,
): AsyncGenerator<readonly IoPublicKey[], void, undefined> {
  using subscription = deps.hub.subscribe(KEYS_TOPIC);
  let told: string | undefined;
  for (;;) {
    const keys = await deps.ioTokens.publicKeys();
    const text = JSON.stringify(keys);
    if (text !== told) yield keys;
    told = text;
    await subscription.next(LOOK_EVERY_MS, signal);
  }
}
