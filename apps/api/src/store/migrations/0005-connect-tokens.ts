// Connect tokens, the keys that sign them, edges, and the sequence of what edges are told. Expands only. Triggers number
// every change of a route, whoever makes it: the release before tells edges too, without knowing of them. They are
// deferred to the commit, so that the sequence is the last thing a transaction locks: its lock orders commits, is held
// for as long as a commit takes, and cannot be half of a deadlock.
import type { Kysely } from "kysely";
import { sql } from "kysely";

/** Adds what connect tokens and edges take. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `ALTER TABLE sandboxes
    ADD COLUMN token_epoch bigint NOT NULL DEFAULT 0,
    ADD COLUMN tokens_revoked_at timestamptz`,
  `CREATE TABLE connect_tokens (
    id text COLLATE "C" PRIMARY KEY,
    sandbox_id text COLLATE "C" NOT NULL,
    workspace_id text COLLATE "C" NOT NULL,
    epoch bigint NOT NULL,
    port integer NOT NULL,
    embed boolean NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    FOREIGN KEY (workspace_id, sandbox_id) REFERENCES sandboxes (workspace_id, id) ON DELETE CASCADE
  )`,
  `CREATE INDEX connect_tokens_sandbox ON connect_tokens (workspace_id, sandbox_id, expires_at)`,
  `CREATE INDEX connect_tokens_expiry ON connect_tokens (expires_at)`,
  // Whole as long as the row is there; retired_at says when it goes. Of those whose time to sign has come the newest does.
  `CREATE TABLE connect_keys (
    id text COLLATE "C" PRIMARY KEY,
    master_key_id text NOT NULL,
    public_jwk jsonb NOT NULL,
    sealed_private_jwk bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    signs_from timestamptz NOT NULL,
    retired_at timestamptz
  )`,
  `CREATE TABLE edges (
    id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL,
    seen_at timestamptz NOT NULL
  )`,
  `CREATE TABLE assertion_keys (
    id text COLLATE "C" PRIMARY KEY,
    edge_id text COLLATE "C" NOT NULL REFERENCES edges ON DELETE CASCADE,
    public_jwk jsonb NOT NULL,
    published_at timestamptz NOT NULL
  )`,
  `CREATE INDEX assertion_keys_edge ON assertion_keys (edge_id, published_at)`,
  `CREATE TABLE authorities (
    fingerprint text PRIMARY KEY,
    name text NOT NULL,
    certificate_pem text NOT NULL,
    master_key_id text NOT NULL,
    sealed_private_key bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
  )`,
  // Begins with the time, so that no number of another database is one of this one's. What was told up to floor may
  // have been forgotten since: whoever knows no more than that is told everything.
  `CREATE TABLE route_sequence (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    revision bigint NOT NULL,
    keys_revision bigint NOT NULL,
    floor bigint NOT NULL
  )`,
  `INSERT INTO route_sequence (revision, keys_revision, floor)
    SELECT now_ms, now_ms, now_ms FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms) AS clock`,
  `CREATE TABLE route_changes (
    sandbox_id text COLLATE "C" PRIMARY KEY,
    revision bigint NOT NULL UNIQUE
  )`,
  `CREATE TABLE revocations (
    token_id text COLLATE "C" PRIMARY KEY,
    sandbox_id text COLLATE "C" NOT NULL,
    expires_at timestamptz NOT NULL,
    revision bigint NOT NULL UNIQUE
  )`,
  `CREATE INDEX revocations_expiry ON revocations (expires_at)`,
  `CREATE FUNCTION next_route_revision() RETURNS bigint LANGUAGE plpgsql AS $$
  DECLARE
    number bigint;
  BEGIN
    UPDATE route_sequence SET revision = revision + 1 RETURNING revision INTO number;
    PERFORM pg_notify('sallyport_wake', 'trigger|routes');
    RETURN number;
  END $$`,
  `CREATE FUNCTION number_route_of_instance() RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE
    number bigint := next_route_revision();
  BEGIN
    INSERT INTO route_changes (sandbox_id, revision) VALUES (NEW.sandbox_id, number)
      ON CONFLICT (sandbox_id) DO UPDATE SET revision = excluded.revision;
    RETURN NULL;
  END $$`,
  `CREATE FUNCTION number_route_of_sandbox() RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE
    number bigint := next_route_revision();
  BEGIN
    INSERT INTO route_changes (sandbox_id, revision) VALUES (NEW.id, number)
      ON CONFLICT (sandbox_id) DO UPDATE SET revision = excluded.revision;
    RETURN NULL;
  END $$`,
  `CREATE FUNCTION number_revocation() RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE
    number bigint := next_route_revision();
  BEGIN
    INSERT INTO revocations (token_id, sandbox_id, expires_at, revision)
      VALUES (NEW.id, NEW.sandbox_id, NEW.expires_at, number)
      ON CONFLICT (token_id) DO NOTHING;
    RETURN NULL;
  END $$`,
  `CREATE FUNCTION number_key_set() RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE
    number bigint := next_route_revision();
  BEGIN
    UPDATE route_sequence SET keys_revision = number;
    RETURN NULL;
  END $$`,
  `CREATE CONSTRAINT TRIGGER number_new_instance AFTER INSERT ON instances
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION number_route_of_instance()`,
  `CREATE CONSTRAINT TRIGGER number_instance AFTER UPDATE ON instances
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.wish IS DISTINCT FROM NEW.wish OR OLD.observed IS DISTINCT FROM NEW.observed)
    EXECUTE FUNCTION number_route_of_instance()`,
  `CREATE CONSTRAINT TRIGGER number_sandbox AFTER UPDATE ON sandboxes
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.token_epoch IS DISTINCT FROM NEW.token_epoch OR OLD.generation IS DISTINCT FROM NEW.generation)
    EXECUTE FUNCTION number_route_of_sandbox()`,
  `CREATE CONSTRAINT TRIGGER number_revoked_token AFTER UPDATE ON connect_tokens
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL)
    EXECUTE FUNCTION number_revocation()`,
  // When a key signs is no edge's business.
  `CREATE CONSTRAINT TRIGGER number_connect_keys AFTER INSERT OR DELETE ON connect_keys
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION number_key_set()`,
  `INSERT INTO route_changes (sandbox_id, revision)
    SELECT sandboxes.id, route_sequence.revision + row_number() OVER (ORDER BY sandboxes.id)
    FROM sandboxes, route_sequence
    WHERE ended_at IS NULL OR ended_at > now() - interval '1 hour'`,
  `UPDATE route_sequence SET revision = revision + (SELECT count(*) FROM route_changes)`,
];
