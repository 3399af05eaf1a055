// The first tables. Ids are compared by bytes (COLLATE "C"), so that their order is that of their making.
import type { Kysely } from "kysely";
import { sql } from "kysely";

/** Makes the tables of the first release. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `CREATE TABLE settings (
    name text PRIMARY KEY,
    value text NOT NULL
  )`,
  `CREATE TABLE workspaces (
    id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL UNIQUE,
    granted_cidrs text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
  )`,
  `CREATE TABLE api_tokens (
    id text COLLATE "C" PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces,
    name text NOT NULL,
    secret_hash bytea NOT NULL CHECK (length(secret_hash) = 32),
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
  )`,
  `CREATE INDEX api_tokens_of_workspace ON api_tokens (workspace_id)`,
  `CREATE TABLE apps (
    id text COLLATE "C" PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, name),
    UNIQUE (workspace_id, id)
  )`,
  `CREATE TABLE workers (
    id text COLLATE "C" PRIMARY KEY,
    cpu_millis integer NOT NULL,
    memory_mib integer NOT NULL,
    max_instances integer NOT NULL,
    io_address text NOT NULL,
    runsc_version text NOT NULL,
    session bigint NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL
  )`,
  `CREATE TABLE images (
    worker_id text COLLATE "C" NOT NULL REFERENCES workers,
    name text NOT NULL,
    digest text NOT NULL,
    PRIMARY KEY (worker_id, name)
  )`,
  `CREATE TABLE sandboxes (
    id text COLLATE "C" PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces,
    app_id text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    image text NOT NULL,
    network jsonb NOT NULL,
    cpu_millis integer NOT NULL,
    memory_mib integer NOT NULL,
    lifetime_ms bigint NOT NULL,
    command jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    UNIQUE (workspace_id, id),
    FOREIGN KEY (workspace_id, app_id) REFERENCES apps (workspace_id, id)
  )`,
  `CREATE INDEX sandboxes_living ON sandboxes (workspace_id, id DESC) WHERE ended_at IS NULL`,
  `CREATE TABLE instances (
    id text COLLATE "C" PRIMARY KEY,
    sandbox_id text COLLATE "C" NOT NULL,
    workspace_id text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    worker_id text COLLATE "C" NOT NULL REFERENCES workers,
    cpu_millis integer NOT NULL,
    memory_mib integer NOT NULL,
    wish text NOT NULL CHECK (wish IN ('run', 'stop')),
    spec jsonb NOT NULL,
    observed text NOT NULL DEFAULT 'unseen'
      CHECK (observed IN ('unseen', 'starting', 'running', 'stopping', 'ended')),
    seq bigint NOT NULL DEFAULT 0,
    network_generation bigint NOT NULL DEFAULT 0,
    outcome jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    ended_at timestamptz,
    UNIQUE (sandbox_id, generation),
    FOREIGN KEY (workspace_id, sandbox_id) REFERENCES sandboxes (workspace_id, id),
    CHECK ((observed = 'ended') = (ended_at IS NOT NULL)),
    CHECK ((observed = 'ended') = (outcome IS NOT NULL))
  )`,
  `CREATE INDEX instances_living ON instances (worker_id) WHERE ended_at IS NULL`,
  // Deferred: the key is claimed first, so that a second create with it waits, and its sandbox follows.
  `CREATE TABLE idempotency_keys (
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    sandbox_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace_id, key),
    FOREIGN KEY (workspace_id, sandbox_id) REFERENCES sandboxes (workspace_id, id) DEFERRABLE INITIALLY DEFERRED
  )`,
  `CREATE TABLE signing_keys (
    id text PRIMARY KEY,
    master_key_id text NOT NULL,
    public_jwk jsonb NOT NULL,
    sealed_private_jwk bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz
  )`,
];
