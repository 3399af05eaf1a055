// Declared ports of sandboxes, who may come to them, the public ports of raw ones, kinds of edges. Expands only. A trigger
// lets a public port rest, whoever writes down the end of its sandbox: the release before does, without knowing of it. A
// public port outlives the row of the sandbox that had it, and so does its rest.
import type { Kysely } from "kysely";
import { sql } from "kysely";

/** Adds what tunnels take. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // NULL: everybody. Empty: nobody.
  `ALTER TABLE sandboxes ADD COLUMN inbound_cidrs text[]`,
  `CREATE TABLE declared_ports (
    label text COLLATE "C" PRIMARY KEY,
    sandbox_id text COLLATE "C" NOT NULL,
    workspace_id text COLLATE "C" NOT NULL,
    port integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('tls', 'h2', 'raw')),
    public_port integer CHECK ((kind = 'raw') = (public_port IS NOT NULL)),
    proxy_protocol boolean NOT NULL,
    UNIQUE (sandbox_id, port),
    FOREIGN KEY (workspace_id, sandbox_id) REFERENCES sandboxes (workspace_id, id) ON DELETE CASCADE
  )`,
  // One that nobody holds rests since its last sandbox ended; one that nobody ever held does not.
  `CREATE TABLE public_ports (
    port integer PRIMARY KEY,
    sandbox_id text COLLATE "C",
    rests_since timestamptz
  )`,
  `CREATE INDEX public_ports_sandbox ON public_ports (sandbox_id) WHERE sandbox_id IS NOT NULL`,
  `CREATE FUNCTION let_public_ports_rest() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    UPDATE public_ports SET sandbox_id = NULL, rests_since = clock_timestamp() WHERE sandbox_id = OLD.id;
    RETURN NULL;
  END $$`,
  `CREATE TRIGGER let_public_ports_rest_at_end AFTER UPDATE ON sandboxes FOR EACH ROW
    WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION let_public_ports_rest()`,
  `CREATE TRIGGER let_public_ports_rest_when_forgotten AFTER DELETE ON sandboxes FOR EACH ROW
    WHEN (OLD.ended_at IS NULL) EXECUTE FUNCTION let_public_ports_rest()`,
  // Edges of the release before knew no kinds.
  `ALTER TABLE edges ADD COLUMN kind text NOT NULL DEFAULT 'connect' CHECK (kind IN ('connect', 'tunnel'))`,
  `ALTER TABLE workspaces ADD COLUMN refuses_user_data_at_tunnels boolean NOT NULL DEFAULT false`,
];
