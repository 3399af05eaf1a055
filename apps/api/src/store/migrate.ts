// Brings the schema up to what this release knows. A newer schema is left alone: this release works with the next one's.

import { sql } from "kysely";
import type { Migration } from "kysely/migration";
import { Migrator } from "kysely/migration";
import type { Db } from "./database.ts";
import { MIGRATIONS } from "./migrations/index.ts";

/** Runs what is missing; several processes at once do it once. Rejects with the first failure. */
export async function migrate(db: Db, migrations: Readonly<Record<string, Migration>> = MIGRATIONS): Promise<void> {
  const executed = await executedNames(db);
  const isNewer = executed.some((name) => migrations[name] === undefined);
  if (isNewer && Object.keys(migrations).every((name) => executed.includes(name))) return;
  const migrator = new Migrator({ db, provider: { getMigrations: () => Promise.resolve({ ...migrations }) } });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw error instanceof Error ? error : new Error("a migration failed", { cause: error });
}

async function executedNames(db: Db): Promise<string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some((table) => table.name === MIGRATION_TABLE)) return [];
  const { rows } = await sql<{ name: string }>`SELECT name FROM ${sql.table(MIGRATION_TABLE)}`.execute(db);
  return rows.map((row) => row.name);
}

/** Where kysely writes down what it has run. */
const MIGRATION_TABLE = "kysely_migration";
