// Creating a sandbox: judged, then committed in one transaction, then its worker is woken, then, if asked, its start awaited.
import { AppError } from "@sallyport/appkit/errors";
import { sameHash } from "../domain/api-token.ts";
import { newId } from "../domain/ids.ts";
import { startResult } from "../domain/instance-state.ts";
import { DEFAULT_APP_NAME, PIDS_LIMIT } from "../domain/limits.ts";
import type { FullResource } from "../domain/placement.ts";
import { place } from "../domain/placement.ts";
import type { CreateSandboxInput } from "../domain/sandbox.ts";
import { ensureApp } from "../store/apps.ts";
import type { Db } from "../store/database.ts";
import { inTransaction } from "../store/database.ts";
import { claimKey, findKey } from "../store/idempotency-keys.ts";
import { listImageNames } from "../store/images.ts";
import type { SandboxRecord } from "../store/sandboxes.ts";
import { findSandbox, findSandboxByName, insertSandbox } from "../store/sandboxes.ts";
import { sandboxTopic, workerTopic } from "../store/topics.ts";
import type { ImageCandidate } from "../store/workers.ts";
import { isAnyWorkerConnected, lockCandidates } from "../store/workers.ts";
import { allocateTunnels } from "./allocate-tunnels.ts";
import type { CheckedCreate } from "./check-create.ts";
import { checkCreate } from "./check-create.ts";
import type { ServiceDeps, TunnelAddress } from "./deps.ts";
import type { IoAccess } from "./io-access.ts";
import { ioAccessOf } from "./io-access.ts";
import { judgePolicy } from "./network-policy.ts";
import { checkQuota } from "./quota.ts";
import type { ResolvedImage } from "./resolve-image.ts";
import { resolveImage } from "./resolve-image.ts";
import { checkResolvers } from "./resolvers.ts";
import { waitUntil } from "./wait-until.ts";

/** What a create answers. */
export interface CreatedSandbox {
  readonly record: SandboxRecord;
  /** Set once its command was started. */
  readonly ioAccess: IoAccess | undefined;
}

/**
 * Commits a sandbox and waits for its start as long as asked. Repeated with the same key and content it finds the same
 * sandbox, and goes on waiting for it. Throws InvalidArgument, NotFound (app, image), AlreadyExists (key, name),
 * ResourceExhausted, Unavailable (no worker, or the start failed), DeadlineExceeded (it may start yet).
 */
export async function createSandbox(
  workspaceId: string,
  deps: ServiceDeps,
  input: CreateSandboxInput,
  signal: AbortSignal,
): Promise<CreatedSandbox> {
  const checked = checkCreate(input);
  const committed = await commitInTurn(workspaceId, deps, checked, signal);
  if (committed.workerId !== undefined) deps.hub.wake(workerTopic(committed.workerId));
  return awaitStart(workspaceId, deps, committed.sandboxId, checked.waitMs, signal);
}

interface Committed {
  readonly sandboxId: string;
  /** Set when this call made the sandbox. */
  readonly workerId: string | undefined;
}

async function commitInTurn(
  workspaceId: string,
  deps: ServiceDeps,
  checked: CheckedCreate,
  signal: AbortSignal,
): Promise<Committed> {
  using _place = await deps.creates.enter(signal);
  return await inTransaction(deps.db, (tx) => commit(workspaceId, tx, deps.tunnels, checked));
}

async function commit(workspaceId: string, tx: Db, address: TunnelAddress, checked: CheckedCreate): Promise<Committed> {
  const sandboxId = newId("sandbox");
  const { appName, requestHash } = checked;
  const claim = { key: checked.idempotencyKey, requestHash, sandboxId, appName };
  const start = await claimKey(workspaceId, tx, claim);
  if (!start.claimed) return { sandboxId: await knownSandbox(workspaceId, tx, checked), workerId: undefined };
  const { policy, rules } = judgePolicy(checked.network, start.grantedCidrs);
  await checkResolvers(tx, policy, start.grantedCidrs, checked.spec.dns);
  const appId = start.appId ?? (await missingApp(workspaceId, tx, appName));
  if (checked.name !== undefined) await checkNameIsFree(workspaceId, tx, appName, checked.name);
  await checkQuota(workspaceId, tx, start.quota, checked.spec);
  const image = await resolveImage(workspaceId, tx, checked.image);
  const tunnels = await allocateTunnels(workspaceId, tx, address, sandboxId, checked.ports);
  const worker = await findPlace(tx, image, checked);
  await insertSandbox(workspaceId, tx, {
    sandboxId,
    instanceId: newId("instance"),
    appId,
    workerId: worker.workerId,
    image: checked.image,
    network: policy,
    name: checked.name,
    tags: checked.tags,
    inbound: checked.inbound,
    tunnels,
    spec: {
      ...checked.spec,
      env: [...new Map([...image.defaults.env, ...checked.spec.env])],
      workdir: checked.workdir ?? image.defaults.workdir,
      uid: image.defaults.uid,
      gid: image.defaults.gid,
      imageDigest: worker.digest,
      pids: PIDS_LIMIT,
      network: { ...rules, generation: 1 },
    },
  });
  return { sandboxId, workerId: worker.workerId };
}

async function knownSandbox(workspaceId: string, tx: Db, checked: CheckedCreate): Promise<string> {
  const known = await findKey(workspaceId, tx, checked.idempotencyKey);
  if (known !== undefined && sameHash(known.requestHash, checked.requestHash)) return known.sandboxId;
  throw new AppError("AlreadyExists", "idempotency_key: was used for a create with other content", {
    field: "idempotency_key",
    hint: "choose a new key for each new sandbox",
  });
}

/** The workspace is locked, so nobody takes the name meanwhile. */
async function checkNameIsFree(workspaceId: string, tx: Db, appName: string, name: string): Promise<void> {
  const holder = await findSandboxByName(workspaceId, tx, appName, name);
  if (holder === undefined) return;
  throw new AppError("AlreadyExists", `name: ${holder.sandbox.id} of the app "${appName}" is called "${name}"`, {
    field: "name",
    hint: "end it first, or choose another name",
  });
}

async function missingApp(workspaceId: string, tx: Db, name: string): Promise<string> {
  if (name === DEFAULT_APP_NAME) return (await ensureApp(workspaceId, tx, name)).id;
  throw new AppError("NotFound", `app_name: there is no app "${name}"`, {
    field: "app_name",
    hint: "look it up with create_if_missing first",
  });
}

async function findPlace(tx: Db, image: ResolvedImage, checked: CheckedCreate): Promise<ImageCandidate> {
  const candidates = await lockCandidates(tx, image.workerImage);
  if (candidates.length === 0) throw await nowhere(tx, checked.image);
  const placement = place(candidates, checked.spec);
  if (placement.kind === "full") throw full(placement.full);
  const chosen = candidates.find((candidate) => candidate.workerId === placement.workerId);
  if (chosen === undefined) throw new Error("placed on a worker that is no candidate");
  return chosen;
}

async function nowhere(tx: Db, image: string): Promise<AppError> {
  if (!(await isAnyWorkerConnected(tx))) {
    return new AppError("Unavailable", "no worker is connected", { retryAfterMs: 1_000 });
  }
  const names = await listImageNames(tx);
  if (names.includes(image)) {
    return new AppError("Unavailable", `no connected worker has the image "${image}"`, { retryAfterMs: 1_000 });
  }
  return new AppError("NotFound", `image: there is no image "${image}"`, {
    field: "image",
    hint: `there are: ${names.join(", ")}`,
  });
}

function full(resources: readonly FullResource[]): AppError {
  const fields = resources.filter((resource) => resource !== "instances");
  return new AppError("ResourceExhausted", `no worker has enough free ${resources.join(" and ")}`, {
    field: fields.length === 1 ? fields[0] : undefined,
    hint: fields.length > 0 ? `ask for less ${fields.join(" and ")}, or end other sandboxes` : "end other sandboxes",
    retryAfterMs: 1_000,
  });
}

async function awaitStart(
  workspaceId: string,
  deps: ServiceDeps,
  sandboxId: string,
  waitMs: number,
  signal: AbortSignal,
): Promise<CreatedSandbox> {
  let latest: SandboxRecord | undefined;
  const wait = { hub: deps.hub, clock: deps.clock, topic: sandboxTopic(sandboxId), waitMs, signal };
  const started = await waitUntil(wait, async () => {
    latest = await findSandbox(workspaceId, deps.db, sandboxId);
    return latest === undefined ? undefined : judgeStart(latest);
  });
  if (latest === undefined) throw new Error("a committed sandbox is not there");
  if (started === undefined && waitMs > 0) {
    throw new AppError("DeadlineExceeded", `${sandboxId} has not started in ${waitMs} ms`, {
      hint: "the same call goes on waiting for the same sandbox",
    });
  }
  const ioAccess = started === undefined ? undefined : await ioAccessOf(workspaceId, deps, latest);
  return { record: latest, ioAccess };
}

/** The record once its start is decided well; undefined while it is open; throws when it failed. */
function judgeStart(record: SandboxRecord): SandboxRecord | undefined {
  const { sandbox } = record;
  const result = startResult(sandbox.state === "ended" ? "ended" : "running", sandbox.startedAt, sandbox.outcome);
  switch (result?.kind) {
    case undefined:
      return undefined;
    case "started":
      return record;
    case "refused":
      throw new AppError("InvalidArgument", `${result.field}: ${result.message}`, { field: result.field });
    case "failed":
      throw new AppError("Unavailable", `${sandbox.id} could not be started: ${result.message}`, {
        hint: "try again with a new idempotency key",
      });
    case "stopped":
      throw new AppError("SandboxEnded", `${sandbox.id} was terminated before it started`);
  }
}
