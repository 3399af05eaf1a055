// Keys that sign connect tokens: made at the first start, sealed by the master key, renewed by command and by age. A new
// key is published first; it signs once edges that can be reached know it, or after a notice. The one before it stays
// published for as long as a token that it signed may live. All of it is in the database: several processes agree.
import type { Clock } from "@sallyport/appkit/clock";
import { AppError } from "@sallyport/appkit/errors";
import type { PrivateJwk } from "@sallyport/connect-token/issue";
import { generateSigningKey, MAX_LIFE_MS, SigningKey } from "@sallyport/connect-token/issue";
import { KEY_NOTICE_MS, MAX_CONNECT_KEYS } from "../domain/limits.ts";
import type { ConnectKeyRow } from "../store/connect-keys.ts";
import {
  findSealedKey,
  insertConnectKey,
  listConnectKeys,
  lockConnectKeys,
  retireAbandoned,
  retireOthers,
  startSigning,
} from "../store/connect-keys.ts";
import type { Db } from "../store/database.ts";
import { inTransaction } from "../store/database.ts";
import type { MasterKey } from "./master-key.ts";

/** A call that chose its key has signed by then: no statement of it may take longer. */
const SIGNING_GRACE_MS = 60_000;
const DAY_MS = 24 * 60 * 60 * 1_000;
/** Whoever sealed a key with another master key has had so much longer to renew it. */
const ABANDONED_AFTER_MS = 2 * DAY_MS;

export class ConnectKeys {
  readonly #db: Db;
  readonly #master: Pick<MasterKey, "id" | "seal" | "open">;
  readonly #clock: Clock;
  /** Opened ones, by their ids; the oldest goes. */
  readonly #opened = new Map<string, SigningKey>();

  constructor(db: Db, master: Pick<MasterKey, "id" | "seal" | "open">, clock: Clock) {
    this.#db = db;
    this.#master = master;
    this.#clock = clock;
  }

  /** Names the master key whose keys these are. */
  get masterKeyId(): string {
    return this.#master.id;
  }

  /** Makes the first key of this master key, which signs at once: a start waits for no edge. */
  async ensure(): Promise<void> {
    await inTransaction(this.#db, async (tx) => {
      await lockConnectKeys(tx);
      const keys = await listConnectKeys(tx);
      if (!keys.some((key) => this.#isOurs(key) && key.isSigning)) await this.#make(tx, 0);
    });
  }

  /** A key of this master key's. Rejects when there is none of this id. */
  async open(keyId: string): Promise<SigningKey> {
    const known = this.#opened.get(keyId);
    if (known !== undefined) return known;
    const sealed = await findSealedKey(this.#db, this.#master.id, keyId);
    if (sealed === undefined)
      throw new AppError("Unavailable", "the signing key was just replaced", { retryAfterMs: 0 });
    const jwk = JSON.parse(this.#master.open(sealed, contextOf(keyId)).toString()) as PrivateJwk;
    const key = await SigningKey.import(jwk);
    this.#opened.set(keyId, key);
    const [oldest] = this.#opened.keys();
    if (this.#opened.size > MAX_CONNECT_KEYS && oldest !== undefined) this.#opened.delete(oldest);
    return key;
  }

  /** All that are published, oldest first. */
  list(): Promise<ConnectKeyRow[]> {
    return listConnectKeys(this.#db);
  }

  /** The published set, as JSON of a JWK set. */
  async publishedSet(): Promise<string> {
    return JSON.stringify({ keys: (await this.list()).map((key) => key.publicJwk) });
  }

  /**
   * Publishes a new key, which signs after the notice or as soon as `begin` says; where `olderThanMs` is given, only if
   * the newest is older. Undefined when it is not, or when a new one is under notice. Throws ResourceExhausted.
   */
  async renew(olderThanMs?: number): Promise<string | undefined> {
    return inTransaction(this.#db, async (tx) => {
      await lockConnectKeys(tx);
      const keys = await listConnectKeys(tx);
      const own = keys.filter((key) => this.#isOurs(key) && key.retiredAt === undefined);
      const newest = own.at(-1);
      if (olderThanMs !== undefined) {
        const times = { olderThanMs: olderThanMs + ABANDONED_AFTER_MS, afterMs: MAX_LIFE_MS + SIGNING_GRACE_MS };
        await retireAbandoned(tx, this.#master.id, times);
        const isDue = newest === undefined || this.#clock.now() - newest.createdAt.getTime() > olderThanMs;
        if (!isDue) return undefined;
      }
      if (keys.length >= MAX_CONNECT_KEYS) {
        throw new AppError(
          "ResourceExhausted",
          `at most ${MAX_CONNECT_KEYS} keys of connect tokens are published at once`,
          {
            hint: "the oldest goes within a day and a minute of being replaced",
            retryAfterMs: DAY_MS,
          },
        );
      }
      return this.#make(tx, KEY_NOTICE_MS);
    });
  }

  /** Lets a renewed key sign before its notice is over. */
  async begin(keyId: string): Promise<void> {
    await startSigning(this.#db, keyId);
  }

  async #make(tx: Db, noticeMs: number): Promise<string> {
    const jwk = await generateSigningKey("connect-token");
    const { d: _, ...publicJwk } = jwk;
    const sealedPrivateJwk = this.#master.seal(Buffer.from(JSON.stringify(jwk)), contextOf(jwk.kid));
    const key = { keyId: jwk.kid, masterKeyId: this.#master.id, publicJwk, sealedPrivateJwk };
    await insertConnectKey(tx, key, noticeMs);
    await retireOthers(tx, key, noticeMs + MAX_LIFE_MS + SIGNING_GRACE_MS);
    return jwk.kid;
  }

  #isOurs(key: ConnectKeyRow): boolean {
    return key.masterKeyId === this.#master.id;
  }
}

/** A sealed key that is moved to another row does not open there. */
function contextOf(keyId: string): string {
  return `connect key ${keyId}`;
}
