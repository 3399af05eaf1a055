// Images of workspaces, the logs of their making, credentials of registries. Expands only.
import type { Kysely } from "kysely";
import { sql } from "kysely";

/** Adds what making images takes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `CREATE TABLE workspace_images (
    id text COLLATE "C" PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces,
    state text NOT NULL CHECK (state IN ('pending', 'building', 'ready', 'failed', 'cancelled')),
    source jsonb NOT NULL,
    source_hash bytea NOT NULL,
    context_complete boolean NOT NULL,
    worker_id text COLLATE "C" REFERENCES workers,
    digest text,
    size bigint NOT NULL DEFAULT 0,
    defaults jsonb,
    error text,
    log_size bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CHECK ((state = 'ready') = (digest IS NOT NULL)),
    CHECK ((state = 'ready') = (defaults IS NOT NULL))
  )`,
  `CREATE INDEX workspace_images_present ON workspace_images (workspace_id, id DESC) WHERE deleted_at IS NULL`,
  `CREATE INDEX workspace_images_of_worker ON workspace_images (worker_id) WHERE deleted_at IS NULL`,
  `CREATE TABLE image_logs (
    image_id text COLLATE "C" NOT NULL REFERENCES workspace_images ON DELETE CASCADE,
    log_offset bigint NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (image_id, log_offset)
  )`,
  `CREATE TABLE registry_credentials (
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces,
    registry text NOT NULL,
    username text NOT NULL,
    master_key_id text NOT NULL,
    sealed_password bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, registry)
  )`,
];
