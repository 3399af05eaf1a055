// Finding, listing, awaiting and ending sandboxes of one workspace. Another's is NotFound, as one that never was.
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import { isId } from "@sallyport/contracts";
import { DEFAULT_APP_NAME, PAGE_SIZE } from "../domain/limits.ts";
import { openPageToken, sealPageToken } from "../domain/page-token.ts";
import { inTransaction } from "../store/database.ts";
import { wishStop } from "../store/instances.ts";
import { appendEvents } from "../store/sandbox-events.ts";
import type { ListFilter, SandboxRecord } from "../store/sandboxes.ts";
import { findSandbox, findSandboxByName, listSandboxes, writeTags } from "../store/sandboxes.ts";
import { sandboxTopic, workerTopic } from "../store/topics.ts";
import { checkId, checkLabel, checkNumber, checkTags, checkWait } from "./check.ts";
import type { ServiceDeps } from "./deps.ts";
import type { IoAccess } from "./io-access.ts";
import { ioAccessOf } from "./io-access.ts";
import { waitUntil } from "./wait-until.ts";

/** Throws InvalidArgument for what is no id, NotFound for what is no sandbox of this workspace. */
export async function getSandbox(workspaceId: string, deps: ServiceDeps, id: string): Promise<SandboxRecord> {
  const record = await findSandbox(workspaceId, deps.db, checkId("sandbox", "sandbox_id", id));
  if (record !== undefined) return record;
  throw new AppError("NotFound", `there is no sandbox ${id}`, { field: "sandbox_id" });
}

/** Throws NotFound when no living sandbox of this workspace has the name. */
export async function getSandboxByName(
  workspaceId: string,
  deps: ServiceDeps,
  request: { readonly appName?: string | undefined; readonly name: string },
): Promise<SandboxRecord> {
  const appName = checkLabel("app_name", request.appName ?? DEFAULT_APP_NAME);
  const name = checkLabel("name", request.name);
  const record = await findSandboxByName(workspaceId, deps.db, appName, name);
  if (record !== undefined) return record;
  throw new AppError("NotFound", `no living sandbox of the app "${appName}" is called "${name}"`, { field: "name" });
}

/** Replaces all tags of a living sandbox. Throws SandboxEnded. */
export async function setTags(
  workspaceId: string,
  deps: ServiceDeps,
  sandboxId: string,
  wanted: ReadonlyMap<string, string>,
): Promise<SandboxRecord> {
  const tags = checkTags(wanted);
  await getSandbox(workspaceId, deps, sandboxId);
  const isWritten = await inTransaction(deps.db, async (tx) => {
    if (!(await writeTags(workspaceId, tx, sandboxId, tags))) return false;
    const detail = { count: Object.keys(tags).length };
    await appendEvents(tx, sandboxId, [{ type: "tags_changed", at: undefined, detail }]);
    return true;
  });
  if (!isWritten) throw new AppError("SandboxEnded", `${sandboxId} has ended`, { field: "sandbox_id" });
  deps.hub.wake(sandboxTopic(sandboxId));
  return getSandbox(workspaceId, deps, sandboxId);
}

export interface ListRequest {
  readonly appName?: string | undefined;
  readonly name?: string | undefined;
  readonly tags: ReadonlyMap<string, string>;
  /** 0 for the default. */
  readonly pageSize: number;
  /** Empty for the first page. */
  readonly pageToken: string;
  readonly includeEnded: boolean;
}

export interface ListPage {
  readonly records: readonly SandboxRecord[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** One page, newest first. Sandboxes made meanwhile are on none of the later pages. */
export async function listPage(workspaceId: string, deps: ServiceDeps, request: ListRequest): Promise<ListPage> {
  const appName = request.appName === undefined ? undefined : checkLabel("app_name", request.appName);
  const limit = checkNumber("page_size", request.pageSize || undefined, PAGE_SIZE);
  const name = request.name === undefined ? undefined : checkLabel("name", request.name);
  const tags = checkTags(request.tags);
  const listing = ["sandboxes", workspaceId, appName, request.includeEnded, name, JSON.stringify(tags)];
  let beforeId: string | undefined;
  if (request.pageToken !== "") {
    beforeId = openPageToken(deps.pageTokenKey, listing, request.pageToken);
    if (beforeId === undefined || !isId("sandbox", beforeId)) {
      throw invalidArgument("page_token", "is none that this listing gave", "start again without one");
    }
  }
  const filter = { appName, name, tags, includeEnded: request.includeEnded };
  const { records, isMore } = await readPage(workspaceId, deps, filter, beforeId, limit);
  const last = records.at(-1);
  const isOpen = isMore && last !== undefined;
  return { records, nextPageToken: isOpen ? sealPageToken(deps.pageTokenKey, listing, last.sandbox.id) : "" };
}

const CHUNK = 100;

/** At most so many, and fewer where their commands and policies would make a message that is too long to be sent. */
async function readPage(
  workspaceId: string,
  deps: ServiceDeps,
  filter: ListFilter,
  beforeId: string | undefined,
  limit: number,
): Promise<{ readonly records: readonly SandboxRecord[]; readonly isMore: boolean }> {
  const records: SandboxRecord[] = [];
  let bytes = 0;
  for (;;) {
    const after = records.at(-1)?.sandbox.id ?? beforeId;
    const options = { ...filter, beforeId: after, limit: Math.min(CHUNK, limit - records.length + 1) };
    const found = await listSandboxes(workspaceId, deps.db, options);
    for (const record of found) {
      bytes += sizeOf(record);
      if (records.length === limit || (records.length > 0 && bytes > MAX_PAGE_BYTES)) return { records, isMore: true };
      records.push(record);
    }
    if (found.length < options.limit) return { records, isMore: false };
  }
}

const MAX_PAGE_BYTES = 768 * 1024;

/** About what a record takes in a message: the parts that tenants make long, and something for the rest. */
function sizeOf({ sandbox }: SandboxRecord): number {
  const { command = [], network, outcome, tags } = sandbox;
  const texts = [
    ...command,
    ...Object.entries(tags).flat(),
    ...(typeof network === "string" ? [] : network.allow.map((entry) => JSON.stringify(entry))),
    outcome?.message ?? "",
  ];
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 4, 512);
}

/** The sandbox once it has ended, or as it is when the time is over. */
export async function waitSandbox(
  workspaceId: string,
  deps: ServiceDeps,
  request: { readonly sandboxId: string; readonly waitMs: number },
  signal: AbortSignal,
): Promise<SandboxRecord> {
  let latest = await getSandbox(workspaceId, deps, request.sandboxId);
  const waitMs = checkWait(request.waitMs);
  const wait = { hub: deps.hub, clock: deps.clock, topic: sandboxTopic(request.sandboxId), waitMs, signal };
  await waitUntil(wait, async () => {
    latest = await getSandbox(workspaceId, deps, request.sandboxId);
    return latest.sandbox.state === "ended" ? latest : undefined;
  });
  return latest;
}

/** Commits the wish that a sandbox ends, then waits for its end as long as asked. */
export async function terminateSandbox(
  workspaceId: string,
  deps: ServiceDeps,
  request: { readonly sandboxId: string; readonly waitMs: number },
  signal: AbortSignal,
): Promise<SandboxRecord> {
  checkWait(request.waitMs);
  const { sandbox, workerId } = await getSandbox(workspaceId, deps, request.sandboxId);
  if (sandbox.state !== "ended") {
    await inTransaction(deps.db, async (tx) => {
      const isNew = await wishStop(workspaceId, tx, { sandboxId: sandbox.id, workerId });
      if (isNew) await appendEvents(tx, sandbox.id, [{ type: "stop_requested", at: undefined, detail: {} }]);
    });
    deps.hub.wake(workerTopic(workerId));
    deps.hub.wake(sandboxTopic(sandbox.id));
  }
  return waitSandbox(workspaceId, deps, request, signal);
}

/** Access to a sandbox that was started, ended ones included. Throws FailedPrecondition before. */
export async function getIoAccess(workspaceId: string, deps: ServiceDeps, sandboxId: string): Promise<IoAccess> {
  const record = await getSandbox(workspaceId, deps, sandboxId);
  const { state, startedAt } = record.sandbox;
  if (state === "ended" || startedAt !== undefined) return ioAccessOf(workspaceId, deps, record);
  throw new AppError("FailedPrecondition", `${sandboxId} is ${state}: it has not started yet`, {
    field: "sandbox_id",
    hint: "create it with wait_ms, or ask again once it runs",
  });
}
