// Policies that change, resolvers, machines' own addresses. Expands only. The newest rules of an instance stay in its spec,
// and what only some ports may do stands beside the policy: the release before reads both, and opens no more for it.
import type { Kysely } from "kysely";
import { sql } from "kysely";

/** Adds what network policies take. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `ALTER TABLE sandboxes ADD COLUMN dns text[] NOT NULL DEFAULT '{}'`,
  // What is wished; network_generation is what was observed of it.
  `ALTER TABLE instances
    ADD COLUMN network_wished bigint NOT NULL DEFAULT 1,
    ADD COLUMN network_cause text CHECK (network_cause IN ('update', 'grant', 'revoke'))`,
  `ALTER TABLE workers ADD COLUMN addresses text[] NOT NULL DEFAULT '{}'`,
];
