// Creating a sandbox so that it is made once or not at all: one idempotency key over all attempts, and whatever a
// failed or abandoned create may have left behind is ended.
import { randomUUID } from "node:crypto";
import type { CreateSandboxRequest, CreateSandboxResponse, Sandbox as WireSandbox } from "@sallyport/contracts";
import { EndReason, MAX_WAIT_MS, SandboxState } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import type { CreateOptions } from "./convert.ts";
import { toCreateRequest } from "./convert.ts";
import { SallyportError, sdkError } from "./errors.ts";
import { imageName } from "./image.ts";
import { DEFAULT_TIMEOUT_MS } from "./life-cycle.ts";
import { inOwnWords } from "./network.ts";
import { Scope } from "./scope.ts";
import type { Failure } from "./translate.ts";
import type { Connections } from "./transport.ts";
import { scopeOf } from "./transport.ts";

const CLEAN_UP_MS = 15_000;
/** What an attempt may take beyond the time that the api waits for the start. */
const ATTEMPT_GRACE_MS = 10_000;

/** What a create has come to. */
export interface Created {
  readonly sandbox: WireSandbox;
  readonly ioAccess: CreateSandboxResponse["ioAccess"];
}

/** What {@link Sandbox.create} was asked for. All that is refused is refused before anything is made. */
export async function createFrom(
  connections: Connections,
  command: readonly string[] | undefined,
  options: CreateOptions,
): Promise<Created> {
  const scope = scopeOf("Sandbox.create", options, connections, DEFAULT_TIMEOUT_MS);
  toCreateRequest(command, options, undefined, "", 0);
  const makeScope = () => (options.timeoutMs === undefined ? scopeOf("Sandbox.create", options, connections) : scope);
  const image = await imageName(options.image, connections, makeScope);
  const createScope =
    options.timeoutMs === undefined ? scopeOf("Sandbox.create", options, connections, DEFAULT_TIMEOUT_MS) : scope;
  const waitMs = Math.min(MAX_WAIT_MS, Math.ceil(createScope.remainingMs));
  const request = toCreateRequest(command, options, image, randomUUID(), waitMs);
  createScope.throwIfOver();
  const created = createSandbox(connections, request, createScope);
  return created.catch((error: unknown) => Promise.reject(inOwnWords(error, options)));
}

/** Creates, and waits until the sandbox runs or has ended. */
function createSandbox(connections: Connections, request: CreateSandboxRequest, scope: Scope): Promise<Created> {
  const progress: { sandboxId?: string } = {};
  const work = commit(connections, request, scope, progress);
  const settled = work.then(
    () => undefined,
    (error: unknown) => cleanUp(connections, request, progress.sandboxId, error),
  );
  connections.inBackground(settled);
  return work;
}

async function commit(
  connections: Connections,
  request: CreateSandboxRequest,
  scope: Scope,
  progress: { sandboxId?: string },
): Promise<Created> {
  for (;;) {
    const { sandbox, ioAccess } = await create(connections, request, scope);
    progress.sandboxId = sandbox.id;
    if (sandbox.state === SandboxState.ENDED) throwIfNeverStarted(sandbox);
    if (sandbox.state !== SandboxState.PENDING) return { sandbox, ioAccess };
    // The api has waited as long as it was asked to: the same key asks on.
    scope.throwIfOver();
  }
}

async function create(connections: Connections, request: CreateSandboxRequest, scope: Scope): Promise<Created> {
  const { sandbox, ioAccess } = await connections.callApi(
    scope,
    ({ sandboxes }, options) => callUnary(sandboxes, sandboxes.createSandbox, request, options),
    { maxAttemptMs: request.waitMs + ATTEMPT_GRACE_MS, isFinal: isFailedStart },
  );
  if (sandbox === undefined) throw sdkError("Internal", "the platform answered without a sandbox");
  return { sandbox, ioAccess };
}

/** A start that failed is Unavailable too, but only under a new key; whatever passes by itself says when to ask again. */
function isFailedStart({ answered, error, retryAfterMs }: Failure): boolean {
  return answered && SallyportError.is(error, "Unavailable") && retryAfterMs === undefined;
}

function throwIfNeverStarted({ id, outcome }: WireSandbox): void {
  if (outcome?.startErrorField !== undefined) {
    const field = outcome.startErrorField;
    throw sdkError("InvalidArgument", outcome.message ?? `${field}: the command could not be started`, { field });
  }
  if (outcome?.reason === EndReason.INIT_FAILURE) {
    throw sdkError("SandboxEnded", `${id} could not be started: ${outcome.message ?? "no reason was given"}`, {
      hint: "the log of the worker has more",
    });
  }
}

/** After these, what was asked for may have been done, though no answer came. */
export const UNDECIDED: ReadonlySet<string> = new Set(["Cancelled", "DeadlineExceeded", "Unavailable"]);

async function cleanUp(
  connections: Connections,
  request: CreateSandboxRequest,
  knownId: string | undefined,
  failure: unknown,
): Promise<void> {
  if (!SallyportError.is(failure)) return;
  if (
    knownId === undefined &&
    (!UNDECIDED.has(failure.code) || (failure.code === "Unavailable" && !connections.apiSeen))
  ) {
    return;
  }
  try {
    const scope = new Scope("cleaning up", { timeoutMs: CLEAN_UP_MS });
    // The same key answers with the sandbox that was made; one that this call should make ends at once.
    const sandboxId = knownId ?? (await create(connections, { ...request, waitMs: 0 }, scope)).sandbox.id;
    await connections.callApi(scope, ({ sandboxes }, options) =>
      callUnary(sandboxes, sandboxes.terminateSandbox, { sandboxId, waitMs: 0 }, options),
    );
  } catch {
    // Best effort: the caller has an error already, and the sandbox's lifetime ends it at last.
  }
}
