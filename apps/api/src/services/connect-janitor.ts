// Forgets what edges and connect tokens leave behind.
import { ASSERTION_KEY_LIFE_MS, EDGE_LIFE_MS, ENDED_ROUTE_LIFE_MS, EXPIRED_TOKEN_LIFE_MS } from "../domain/limits.ts";
import { deleteOldAssertionKeys } from "../store/assertion-keys.ts";
import { deleteRetiredKeys } from "../store/connect-keys.ts";
import { deleteExpiredRevocations, deleteExpiredTokens } from "../store/connect-tokens.ts";
import type { Db } from "../store/database.ts";
import { inTransaction } from "../store/database.ts";
import { deleteSilentEdges } from "../store/edges.ts";
import { deleteEndedRoutes } from "../store/routes.ts";

const BATCH = 500;

/** How much was forgotten. */
export interface SweptConnect {
  readonly tokens: number;
  readonly revocations: number;
  readonly routes: number;
  readonly edges: number;
  readonly connectKeys: number;
  readonly assertionKeys: number;
}

/** Forgets all that is past its time at `nowMs`, batch by batch, until told to stop. */
export async function sweepConnect(db: Db, nowMs: number, signal: AbortSignal): Promise<SweptConnect> {
  const before = (lifeMs: number) => new Date(nowMs - lifeMs);
  const all = async (deleteBatch: (limit: number) => Promise<number>) => {
    let total = 0;
    while (!signal.aborted) {
      const count = await deleteBatch(BATCH);
      total += count;
      if (count < BATCH) break;
    }
    return total;
  };
  const routes = (limit: number) =>
    inTransaction(db, (tx) => deleteEndedRoutes(tx, before(ENDED_ROUTE_LIFE_MS), limit));
  return {
    tokens: await all((limit) => deleteExpiredTokens(db, before(EXPIRED_TOKEN_LIFE_MS), limit)),
    revocations: await all((limit) => deleteExpiredRevocations(db, before(EXPIRED_TOKEN_LIFE_MS), limit)),
    routes: await all(routes),
    edges: await all((limit) => deleteSilentEdges(db, before(EDGE_LIFE_MS), limit)),
    connectKeys: signal.aborted ? 0 : await deleteRetiredKeys(db, before(0)),
    assertionKeys: signal.aborted ? 0 : await deleteOldAssertionKeys(db, before(ASSERTION_KEY_LIFE_MS)),
  };
}
