// A real api on a database of its own, real clients for every kind of caller, and a worker that is only a client.
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { credentials, Metadata } from "@grpc/grpc-js";
import { systemClock } from "@sallyport/appkit/clock";
import type { AppError } from "@sallyport/appkit/errors";
import { fromGrpcError, isAppError } from "@sallyport/appkit/errors";
import { silentLogger } from "@sallyport/appkit/logger";
import type { CreateSandboxRequest, ListSandboxesRequest } from "@sallyport/contracts";
import { CreateSandboxRequest as CreateSandboxMessage } from "@sallyport/contracts";
import {
  AdminServiceClient,
  AppServiceClient,
  callUnary,
  EdgeServiceClient,
  GatewayServiceClient,
  SandboxServiceClient,
  WorkerServiceClient,
  WorkspaceServiceClient,
} from "@sallyport/contracts/grpc";
import type { TestDatabase } from "@sallyport/testkit/postgres";
import { createTestDatabase, queryDatabase } from "@sallyport/testkit/postgres";
import { inject } from "vitest";
import type { Api } from "../src/app.ts";
import { startApi } from "../src/app.ts";
import type { ApiConfig } from "../src/config.ts";
import { TEMPLATE } from "./postgres.ts";

export const PLATFORM_ID = "01jd0000000000000000000000";

/** An api in this process and everything to call it with. */
export interface TestApi extends AsyncDisposable {
  readonly api: Api;
  readonly config: ApiConfig;
  readonly address: string;
  readonly database: TestDatabase;
  readonly sandboxes: SandboxServiceClient;
  readonly apps: AppServiceClient;
  readonly admin: AdminServiceClient;
  readonly workers: WorkerServiceClient;
  readonly gateways: GatewayServiceClient;
  readonly edges: EdgeServiceClient;
  readonly workspaces: WorkspaceServiceClient;
  /** Ends this api and starts another on the same state. */
  restart(): Promise<TestApi>;
  sql(text: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
}

/** A database of its own, made from the migrated template. */
export function freshDatabase(): Promise<TestDatabase> {
  return createTestDatabase(inject("postgres"), `t_${randomUUID().replaceAll("-", "")}`, TEMPLATE);
}

/** What an api needs, in a directory of its own. */
export async function freshConfig(database: TestDatabase): Promise<{ config: ApiConfig } & AsyncDisposable> {
  const directory = await mkdtemp(join(tmpdir(), "sp-api-"));
  const config: ApiConfig = {
    database: { kind: "socket", ...database },
    listen: { host: "127.0.0.1", port: 0 },
    httpListen: { host: "127.0.0.1", port: 0 },
    stateDir: join(directory, "state"),
    operatorSocket: join(directory, "operator.sock"),
    workerSocket: join(directory, "worker.sock"),
    gatewaySocket: join(directory, "gateway.sock"),
    edgeSocket: join(directory, "edge.sock"),
    connect: { domain: "localhost", port: 7_443, isLocal: true, keyLifeMs: 30 * 86_400_000 },
    tunnels: {
      domain: "localhost",
      port: 7_443,
      isLocal: true,
      rawHost: "127.0.0.2",
      rawPorts: { from: 20_000, to: 20_999 },
      rawPortsPerWorkspace: 250,
      rawRestMs: 600_000,
    },
    platformId: PLATFORM_ID,
    lostAfterMs: 300_000,
  };
  return { config, [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) };
}

export async function startTestApi(change: Partial<ApiConfig> = {}): Promise<TestApi> {
  return attachTestApi(await freshDatabase(), change);
}

/** An api on a database that is there already. */
export async function attachTestApi(database: TestDatabase, change: Partial<ApiConfig> = {}): Promise<TestApi> {
  const { config, ...place } = await freshConfig(database);
  return start({ ...place, config: { ...config, ...change } }, database);
}

async function start(place: { config: ApiConfig } & AsyncDisposable, database: TestDatabase): Promise<TestApi> {
  const { config } = place;
  const deps = { logger: silentLogger, clock: systemClock, signal: new AbortController().signal };
  const api = await startApi(config, deps);
  const address = `127.0.0.1:${api.port}`;
  const insecure = credentials.createInsecure();
  const clients = {
    sandboxes: new SandboxServiceClient(address, insecure),
    apps: new AppServiceClient(address, insecure),
    workspaces: new WorkspaceServiceClient(address, insecure),
    admin: new AdminServiceClient(`unix:${config.operatorSocket}`, insecure),
    workers: new WorkerServiceClient(`unix:${config.workerSocket}`, insecure),
    edges: new EdgeServiceClient(`unix:${config.edgeSocket}`, insecure),
    gateways: new GatewayServiceClient(`unix:${config.gatewaySocket}`, insecure),
  };
  const stop = async () => {
    for (const client of Object.values(clients)) client.close();
    await api[Symbol.asyncDispose]();
  };
  return {
    ...clients,
    api,
    config,
    address,
    database,
    sql: (text, values) => queryDatabase(database, text, values),
    async restart() {
      await stop();
      return start(place, database);
    },
    async [Symbol.asyncDispose]() {
      await stop();
      await place[Symbol.asyncDispose]();
    },
  };
}

/** Metadata of a caller who holds this token. */
export function bearer(token: string): Metadata {
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

/** A new workspace with a token. */
export async function makeWorkspace(
  api: TestApi,
  name: string,
): Promise<{ id: string; token: string; auth: { metadata: Metadata } }> {
  const made = await callUnary(api.admin, api.admin.createWorkspace, { name });
  const token = await makeToken(api, name);
  return { id: made.workspace?.id ?? "", token, auth: { metadata: bearer(token) } };
}

export async function makeToken(api: TestApi, workspaceName: string): Promise<string> {
  const answer = await callUnary(api.admin, api.admin.createApiToken, { workspaceName, name: "test" });
  return answer.secret;
}

/** A create that is good, with a key of its own. */
export function createRequest(change: Partial<CreateSandboxRequest> = {}): CreateSandboxRequest {
  return { ...CreateSandboxMessage.decode(new Uint8Array()), idempotencyKey: randomUUID(), ...change };
}

/** A request for the first page of all living sandboxes. */
export function listRequest(change: Partial<ListSandboxesRequest> = {}): ListSandboxesRequest {
  return { pageSize: 0, pageToken: "", includeEnded: false, tags: {}, ...change };
}

/** What a call was refused with. Throws when it was not. */
export async function refusal(
  call: Promise<unknown>,
): Promise<Pick<AppError, "code" | "field" | "message" | "hint" | "retryAfterMs">> {
  try {
    await call;
  } catch (error) {
    const known = fromGrpcError(error);
    if (!isAppError(known)) throw known;
    const { code, field, message, hint, retryAfterMs } = known;
    return { code, field, message, hint, retryAfterMs };
  }
  throw new Error("the call was not refused");
}

/** Asks again until the answer is not undefined. */
export async function eventually<T>(
  what: string,
  read: () => Promise<T | undefined> | T | undefined,
  withinMs = 10_000,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = await read();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${withinMs} ms`);
    await sleep(10);
  }
}
