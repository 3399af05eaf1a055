// Whose each public port is, and whose it was while it rests: one workspace has a share of them, and what it has given back
// counts until it has rested. A trigger writes it down, whichever release gives the port out. Expands only.
import type { Kysely } from "kysely";
import { sql } from "kysely";

/** Adds what a share of public ports is judged by. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // NULL: of one that nobody ever held.
  `ALTER TABLE public_ports ADD COLUMN workspace_id text COLLATE "C"`,
  `UPDATE public_ports SET workspace_id = latest.workspace_id FROM (
    SELECT DISTINCT ON (public_port) public_port, declared_ports.workspace_id FROM declared_ports
      JOIN sandboxes ON sandboxes.id = declared_ports.sandbox_id
      WHERE public_port IS NOT NULL ORDER BY public_port, ended_at DESC NULLS FIRST
  ) AS latest WHERE latest.public_port = public_ports.port`,
  `CREATE INDEX public_ports_workspace ON public_ports (workspace_id)`,
  `CREATE FUNCTION note_holder_of_public_port() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    UPDATE public_ports SET workspace_id = NEW.workspace_id WHERE port = NEW.public_port;
    RETURN NULL;
  END $$`,
  `CREATE TRIGGER note_holder_of_public_port_when_declared AFTER INSERT ON declared_ports FOR EACH ROW
    WHEN (NEW.public_port IS NOT NULL) EXECUTE FUNCTION note_holder_of_public_port()`,
];
