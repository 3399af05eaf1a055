// Starts the PostgreSQL of a test run, once, with a migrated template: a database of its own for each file is a copy of it.
import { silentLogger } from "@sallyport/appkit/logger";
import { createTestDatabase, startTestPostgres } from "@sallyport/testkit/postgres";
import type { TestProject } from "vitest/node";
import { openDatabase } from "../src/store/database.ts";
import { migrate } from "../src/store/migrate.ts";

declare module "vitest" {
  export interface ProvidedContext {
    readonly postgres: { readonly socketDir: string; readonly user: string };
  }
}

export const TEMPLATE = "sallyport_template";

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const postgres = await startTestPostgres();
  const { socketDir, user } = postgres;
  await createTestDatabase(postgres, TEMPLATE);
  await using database = openDatabase({ kind: "socket", socketDir, user, name: TEMPLATE }, silentLogger);
  await migrate(database.db);
  project.provide("postgres", { socketDir, user });
  return async () => {
    await postgres[Symbol.asyncDispose]();
  };
}
