// The one door to PostgreSQL: a pool whose failures of connection come out as Unavailable, and transactions that are
// repeated when the database asks for it.
import { AppError } from "@sallyport/appkit/errors";
import type { Logger } from "@sallyport/appkit/logger";
import type { PostgresPool, PostgresPoolClient, Transaction } from "kysely";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import type { Schema } from "./schema.ts";

/** Where the database is. */
export type DatabaseAddress =
  | { readonly kind: "url"; readonly url: string }
  | { readonly kind: "socket"; readonly socketDir: string; readonly name: string; readonly user: string };

/** The database, or a transaction on it: store functions take either. */
export type Db = Kysely<Schema>;

/** An open pool. Disposal waits for queries in flight. */
export interface Database extends AsyncDisposable {
  readonly db: Db;
}

const MAX_CONNECTIONS = 16;
const CONNECT_TIMEOUT_MS = 3_000;
/** The server gives up before the client does, so that a connection is not thrown away for one slow statement. */
const STATEMENT_TIMEOUT_MS = 10_000;
const CLIENT_TIMEOUT_MS = 15_000;

/** Opens a pool; connects when first used. */
export function openDatabase(address: DatabaseAddress, logger: Logger): Database {
  const pool = new pg.Pool({
    ...clientConfig(address),
    max: MAX_CONNECTIONS,
    idleTimeoutMillis: 60_000,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: CLIENT_TIMEOUT_MS,
  });
  pool.on("error", (error) => logger.warn({ err: error }, "an idle database connection broke"));
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool: guarded(pool, logger) }) });
  return { db, [Symbol.asyncDispose]: () => db.destroy() };
}

/** What every connection of ours is opened with. */
export function clientConfig(address: DatabaseAddress): pg.ClientConfig {
  return {
    ...(address.kind === "url"
      ? { connectionString: address.url }
      : { host: address.socketDir, database: address.name, user: address.user }),
    application_name: "sallyport-api",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    types: { getTypeParser: numbersForInt8 },
  };
}

const INT8_OID = 20;

/** int8 as a number: ours are counters and milliseconds, far below 2^53. */
const numbersForInt8: pg.CustomTypesConfig["getTypeParser"] = (oid, format) => {
  // The types of pg say `any` here: a parser of text for the column at hand.
  return oid === INT8_OID ? Number : (pg.types.getTypeParser(oid, format) as (text: string) => unknown);
};

/** Runs `work` in one transaction, again from the start after a deadlock or a serialization failure. */
export async function inTransaction<T>(db: Db, work: (tx: Transaction<Schema>) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await db.transaction().execute(work);
    } catch (error) {
      if (attempt === 3 || !isRepeatable(error)) throw error;
    }
  }
}

function guarded(pool: pg.Pool, logger: Logger): PostgresPool {
  const clients = new WeakMap<pg.PoolClient, PostgresPoolClient>();
  return {
    options: pool.options,
    end: () => pool.end(),
    async connect() {
      const client = await pool.connect().catch(rethrow);
      const known = clients.get(client) ?? guardedClient(client, logger);
      clients.set(client, known);
      return known;
    },
  };
}

/** Statements are prepared by name: the same few texts come again and again, and planning costs more than running them. */
function guardedClient(client: pg.PoolClient, logger: Logger): PostgresPoolClient {
  const onError = (error: Error) => logger.warn({ err: error }, "a database connection broke in use");
  client.on("error", onError); // the pool listens to idle clients only
  const query = (text: unknown, values: readonly unknown[] = []): unknown => {
    if (typeof text !== "string") throw new TypeError("cursors are not used here");
    const name = values.length === 0 ? undefined : statementName(text);
    return client.query({ text, values: [...values], ...(name === undefined ? {} : { name }) }).catch(rethrow);
  };
  return {
    query: query as PostgresPoolClient["query"],
    release: (destroy?: boolean) => client.release(destroy),
  };
}

const statementNames = new Map<string, string>();
const MAX_STATEMENTS = 200;

function statementName(text: string): string | undefined {
  const known = statementNames.get(text);
  if (known !== undefined || statementNames.size >= MAX_STATEMENTS) return known;
  const name = `s${statementNames.size}`;
  statementNames.set(text, name);
  return name;
}

/** The connection or the server is gone or not ready; another attempt later may well succeed. */
const TRANSIENT = /^(08...|53...|57P0[1-5]|57014|55P03|25P0[34]|40001|40P01)$/;

function rethrow(error: unknown): never {
  if (error instanceof pg.DatabaseError) {
    // These quote rows, and rows hold what tenants keep secret; errors are logged.
    error.detail = undefined;
    error.where = undefined;
  }
  const isTransient =
    error instanceof pg.DatabaseError ? TRANSIENT.test(error.code ?? "") : !(error instanceof TypeError);
  if (!isTransient) throw error;
  throw new AppError("Unavailable", "the platform's database does not answer", { retryAfterMs: 1_000, cause: error });
}

function isRepeatable(error: unknown): boolean {
  const cause = error instanceof AppError ? error.cause : undefined;
  return cause instanceof pg.DatabaseError && /^40(001|P01)$/.test(cause.code ?? "");
}
