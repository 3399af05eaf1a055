// The edge's own keys, with which it tells apps who asks: made here, never sent anywhere, published before they sign,
// renewed each day. They are for assertions, and can mint no connect token.

import { join } from "node:path";
import type { Clock } from "@sallyport/appkit/clock";
import { keepTrying } from "@sallyport/appkit/retry";
import { AssertionSigner, generateSigningKey, SigningKey } from "@sallyport/connect-token/assertion";
import type { ConnectGrant } from "@sallyport/connect-token/verify";
import type { KeptKey, KeptKeys } from "./assertion-key-file.ts";
import { readKeys, writeKeys } from "./assertion-key-file.ts";

/** How long a key signs, in milliseconds. */
export const RENEW_AFTER_MS = 86_400_000;
/** How often the keys are published anew: the api forgets those that it has not heard of for two days. */
export const PUBLISH_EVERY_MS = 3_600_000;

const FILE = "assertion-keys.json";

export interface AssertionKeysOptions {
  /** The proxy's own, 0700. */
  readonly directory: string;
  /** The platform, as it stands in assertions. */
  readonly issuer: string;
  readonly clock: Clock;
  /** Has the api publish a key: a public JWK as JSON. It may be known already. */
  readonly publish: (jwk: string, signal: AbortSignal) => Promise<void>;
  /** What failed and will be tried again, or was given up for new keys. */
  readonly onProblem: (error: unknown) => void;
}

export class AssertionKeys implements AsyncDisposable {
  readonly #options: AssertionKeysOptions;
  readonly #path: string;
  readonly #stopping = new AbortController();
  /** A page that loads fifty things at once pays for one signature. */
  readonly #pending = new WeakMap<ConnectGrant, Promise<string>>();
  #keys: KeptKeys;
  /** Undefined until its key is published. */
  #signer: AssertionSigner | undefined;
  #running: Promise<void> | undefined;

  private constructor(options: AssertionKeysOptions, path: string, keys: KeptKeys) {
    this.#options = options;
    this.#path = path;
    this.#keys = keys;
  }

  /** Takes up the keys of an earlier life, or makes new ones. Does not wait for the api. Rejects if they cannot be kept. */
  static async start(options: AssertionKeysOptions): Promise<AssertionKeys> {
    const path = join(options.directory, FILE);
    const kept = await takeUp(path, options.onProblem);
    const keys = kept ?? { current: await newKey(), next: await newKey(), sinceMs: options.clock.now() };
    if (kept === undefined) await writeKeys(path, keys);
    const result = new AssertionKeys(options, path, keys);
    if (keys.current.published) await result.#use(keys.current);
    result.#running = result.#run();
    return result;
  }

  /** The assertion for a grant, at once where one is at hand; undefined while no key is published. */
  assertionFor(grant: ConnectGrant): string | undefined | Promise<string> {
    const signer = this.#signer;
    return signer === undefined ? undefined : (signer.peek(grant) ?? this.#sign(signer, grant));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  #sign(signer: AssertionSigner, grant: ConnectGrant): Promise<string> {
    const pending = this.#pending.get(grant);
    if (pending !== undefined) return pending;
    const signing = signer.sign(grant).finally(() => this.#pending.delete(grant));
    this.#pending.set(grant, signing);
    return signing;
  }

  async #run(): Promise<void> {
    const { clock, onProblem } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await keepTrying((stop) => this.#renewAndPublish(stop), onProblem, signal, { clock, maxMs: 2_000 });
      // Its rejection is the signal's, and the loop looks at that itself.
      await clock.sleep(PUBLISH_EVERY_MS, signal).then(undefined, onlyWhen(signal));
    }
  }

  async #renewAndPublish(signal: AbortSignal): Promise<void> {
    const { clock, publish } = this.#options;
    const { next, sinceMs } = this.#keys;
    // Without an answer of the api there is nothing to change to: the old key goes on, since verifiers have it.
    if (next.published && clock.now() - sinceMs >= RENEW_AFTER_MS) {
      await this.#keep({ current: next, next: await newKey(), sinceMs: clock.now() });
      await this.#use(next);
    }
    for (const which of ["current", "next"] as const) {
      const kept = this.#keys[which];
      await publish(JSON.stringify((await SigningKey.import(kept.jwk)).publicJwk), signal);
      if (kept.published) continue;
      await this.#keep({ ...this.#keys, [which]: { ...kept, published: true } });
      if (which === "current") await this.#use(kept);
    }
  }

  async #keep(keys: KeptKeys): Promise<void> {
    await writeKeys(this.#path, keys);
    this.#keys = keys;
  }

  async #use({ jwk }: KeptKey): Promise<void> {
    const { clock, issuer } = this.#options;
    this.#signer = new AssertionSigner({ issuer, key: await SigningKey.import(jwk), now: () => clock.now() });
  }
}

/** The keys of an earlier life, if all of them are whole. */
async function takeUp(path: string, onProblem: (error: unknown) => void): Promise<KeptKeys | undefined> {
  try {
    const kept = await readKeys(path);
    if (kept === undefined) return undefined;
    await Promise.all([SigningKey.import(kept.current.jwk), SigningKey.import(kept.next.jwk)]);
    return kept;
  } catch (error) {
    onProblem(error);
    return undefined;
  }
}

async function newKey(): Promise<KeptKey> {
  return { jwk: await generateSigningKey("assertion"), published: false };
}

function onlyWhen(signal: AbortSignal): (error: unknown) => void {
  return (error) => {
    if (!signal.aborted) throw error;
  };
}
