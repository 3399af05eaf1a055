// Names, tags, idle and sleep, disk, events and quotas. Expands only: every new column has a default that the release
// before neither sees nor misses.
import type { Kysely } from "kysely";
import { sql } from "kysely";

/** Adds what the whole life of a sandbox takes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // NULL: the platform's default holds. 0: there is no bound.
  `ALTER TABLE workspaces
    ADD COLUMN quota_sandboxes bigint CHECK (quota_sandboxes >= 0),
    ADD COLUMN quota_cpu_millis bigint CHECK (quota_cpu_millis >= 0),
    ADD COLUMN quota_memory_mib bigint CHECK (quota_memory_mib >= 0),
    ADD COLUMN quota_disk_mib bigint CHECK (quota_disk_mib >= 0),
    ADD COLUMN quota_creates_per_minute bigint CHECK (quota_creates_per_minute >= 0)`,
  `ALTER TABLE workers
    ADD COLUMN io_url text NOT NULL DEFAULT '',
    ADD COLUMN unreachable_since timestamptz,
    ADD COLUMN lost_at timestamptz`,
  `ALTER TABLE sandboxes
    ADD COLUMN name text,
    ADD COLUMN tags jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN idle_timeout_ms bigint,
    ADD COLUMN sleep_after_ms bigint,
    ADD COLUMN disk_mib integer NOT NULL DEFAULT 1024,
    ADD COLUMN event_seq bigint NOT NULL DEFAULT 0`,
  `CREATE UNIQUE INDEX sandboxes_name_living ON sandboxes (app_id, name) WHERE ended_at IS NULL AND name IS NOT NULL`,
  `CREATE INDEX sandboxes_tags ON sandboxes USING gin (tags jsonb_path_ops)`,
  `CREATE INDEX sandboxes_created ON sandboxes (workspace_id, created_at)`,
  `CREATE INDEX sandboxes_ended ON sandboxes (ended_at) WHERE ended_at IS NOT NULL`,
  // What is observed (asleep, sleep_followed, event_seq), what is wished (sleep_generation, sleep_wish), and whether a
  // worker that was given up still owes the end of an instance that is over for us.
  `ALTER TABLE instances
    ADD COLUMN asleep boolean NOT NULL DEFAULT false,
    ADD COLUMN sleep_followed bigint NOT NULL DEFAULT 0,
    ADD COLUMN sleep_generation bigint NOT NULL DEFAULT 0,
    ADD COLUMN sleep_wish boolean NOT NULL DEFAULT false,
    ADD COLUMN event_seq bigint NOT NULL DEFAULT 0,
    ADD COLUMN end_owed boolean NOT NULL DEFAULT false`,
  `CREATE INDEX instances_end_owed ON instances (worker_id) WHERE end_owed`,
  `CREATE TABLE sandbox_events (
    sandbox_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    workspace_id text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    type text NOT NULL,
    detail jsonb NOT NULL,
    PRIMARY KEY (sandbox_id, seq),
    FOREIGN KEY (workspace_id, sandbox_id) REFERENCES sandboxes (workspace_id, id) ON DELETE CASCADE
  )`,
  `CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at)`,
  `CREATE INDEX idempotency_keys_sandbox ON idempotency_keys (workspace_id, sandbox_id)`,
];
