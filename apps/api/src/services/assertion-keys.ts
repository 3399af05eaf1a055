// Keys by which edges assert to apps who is calling: made by edges, published here.
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import type { PublicJwk } from "@sallyport/connect-token/verify";
import { ConnectTokenError, parseKeySet } from "@sallyport/connect-token/verify";
import { ASSERTION_KEY_LIFE_MS, MAX_ASSERTION_KEYS_PER_EDGE } from "../domain/limits.ts";
import { listAssertionKeys, putAssertionKey, trimAssertionKeys } from "../store/assertion-keys.ts";
import { inTransaction } from "../store/database.ts";
import type { ServiceDeps } from "./deps.ts";
import { meetEdge } from "./watch-routes.ts";

const MAX_JWK_CHARACTERS = 1_024;
/** Whoever asks for the published keys is a stranger: the database is asked no more often than this. */
const SET_LIFE_MS = 1_000;

/** From the answer on the key is published. Throws InvalidArgument for what is no public key for assertions. */
export async function publishAssertionKey(
  deps: ServiceDeps,
  request: { readonly edgeId: string; readonly jwk: string },
): Promise<void> {
  const jwk = await checkJwk(request.jwk);
  const { edgeId } = request;
  await meetEdge(deps, edgeId, "connect");
  const isTaken = await inTransaction(deps.db, async (tx) => {
    if (!(await putAssertionKey(tx, edgeId, jwk))) return false;
    await trimAssertionKeys(tx, edgeId, MAX_ASSERTION_KEYS_PER_EDGE);
    return true;
  });
  if (!isTaken) throw new AppError("AlreadyExists", "jwk: is another edge's", { field: "jwk", hint: "make another" });
}

/** The members that are published, and no others. */
async function checkJwk(text: string): Promise<PublicJwk> {
  if (text.length > MAX_JWK_CHARACTERS) throw invalidArgument("jwk", `has more than ${MAX_JWK_CHARACTERS} characters`);
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    throw invalidArgument("jwk", "is no JSON");
  }
  const set = await keySetOf(given);
  const { alg, crv, kid, kty, use, x, "sallyport:purpose": purpose } = given as PublicJwk;
  if (!set.has(kid, "assertion")) throw invalidArgument("jwk", "is no key for assertions");
  return { kty, crv, x, kid, alg, use, "sallyport:purpose": purpose };
}

async function keySetOf(given: unknown) {
  try {
    return await parseKeySet({ keys: [given] });
  } catch (error) {
    if (!(error instanceof ConnectTokenError)) throw error;
    throw invalidArgument("jwk", error.message);
  }
}

/** The set for everybody: keys of connect tokens and of assertions, as JSON. */
export class PublishedKeys {
  #told: { readonly text: Promise<string>; readonly untilMs: number } | undefined;

  read(deps: Pick<ServiceDeps, "db" | "clock" | "connectKeys">): Promise<string> {
    const nowMs = deps.clock.monotonicMs();
    if (this.#told === undefined || nowMs >= this.#told.untilMs) {
      this.#told = { text: readSet(deps), untilMs: nowMs + SET_LIFE_MS };
    }
    return this.#told.text;
  }
}

async function readSet(deps: Pick<ServiceDeps, "db" | "clock" | "connectKeys">): Promise<string> {
  const since = new Date(deps.clock.now() - ASSERTION_KEY_LIFE_MS);
  const [connect, assertions] = await Promise.all([deps.connectKeys.list(), listAssertionKeys(deps.db, since)]);
  return JSON.stringify({ keys: [...connect.map((key) => key.publicJwk), ...assertions] });
}
