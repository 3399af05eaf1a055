// The calls of the api about one sandbox or several: finding, listing, tagging, sleep and end. Each bears repetition.
import type { Sandbox as WireSandbox } from "@sallyport/contracts";
import { SandboxState } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import type { App } from "./app.ts";
import { toTags } from "./convert.ts";
import { SallyportError, sdkError } from "./errors.ts";
import type { NetworkPolicy } from "./network.ts";
import { toPolicy } from "./network.ts";
import type { CallOptions, Scope } from "./scope.ts";
import type { Failure } from "./translate.ts";
import type { Connections } from "./transport.ts";
import { scopeOf } from "./transport.ts";

/** Which sandboxes {@link Sandbox.list} lists. `timeoutMs` is the deadline of each page. */
export interface ListOptions extends CallOptions {
  /** Only this app's. */
  readonly app?: App | string | undefined;
  /** Only those of this name. */
  readonly name?: string | undefined;
  /** Only those that carry all of these. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** Ended ones too, while the platform remembers them. */
  readonly includeEnded?: boolean | undefined;
}

/** What the policy of a sandbox says to a destination. */
export interface Explanation {
  readonly allowed: boolean;
  /**
   * What decides: `never CIDR` (nothing opens it), `never host` (a machine of the platform), `private CIDR`, `blocked`,
   * `unlisted`, `open`, `allow CIDR`, `grant CIDR`.
   */
  readonly rule: string;
  /** The same for people, as a sentence. */
  readonly why: string;
  /** What would change it; empty where nothing can. */
  readonly hint: string;
}

/** Deadline of a call that says none, in milliseconds. */
export const DEFAULT_TIMEOUT_MS = 60_000;
const POLL_MS = 20_000;
const POLL_ATTEMPT_MS = 30_000;

function appNameOf(app: App | string | undefined): string | undefined {
  return typeof app === "object" ? app.name : app;
}

export async function getSandbox(connections: Connections, scope: Scope, sandboxId: string): Promise<WireSandbox> {
  const { sandbox } = await connections.callApi(scope, ({ sandboxes }, call) =>
    callUnary(sandboxes, sandboxes.getSandbox, { sandboxId }, call),
  );
  return present(sandbox);
}

/** The living sandbox of a name. */
export async function getSandboxByName(
  connections: Connections,
  scope: Scope,
  app: App | string,
  name: string,
): Promise<WireSandbox> {
  const request = { appName: appNameOf(app), name };
  const { sandbox } = await connections.callApi(scope, ({ sandboxes }, call) =>
    callUnary(sandboxes, sandboxes.getSandboxByName, request, call),
  );
  return present(sandbox);
}

/** All that the options describe, newest first, page by page as they are asked for. */
export async function* listSandboxes(
  connections: Connections,
  options: ListOptions,
): AsyncGenerator<WireSandbox, void> {
  const { name, includeEnded = false } = options;
  const filter = { appName: appNameOf(options.app), name, includeEnded, tags: toTags(options.tags), pageSize: 0 };
  let pageToken = "";
  do {
    const scope = scopeOf("Sandbox.list", options, connections, DEFAULT_TIMEOUT_MS);
    const request = { ...filter, pageToken };
    const page = await connections.callApi(scope, ({ sandboxes }, call) =>
      callUnary(sandboxes, sandboxes.listSandboxes, request, call),
    );
    yield* page.sandboxes;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
}

export async function setTags(
  connections: Connections,
  scope: Scope,
  sandboxId: string,
  tags: Readonly<Record<string, string>>,
): Promise<WireSandbox> {
  const request = { sandboxId, tags: toTags(tags) };
  const { sandbox } = await connections.callApi(scope, ({ sandboxes }, call) =>
    callUnary(sandboxes, sandboxes.setSandboxTags, request, call),
  );
  return present(sandbox);
}

/**
 * Wishes that it sleeps or wakes, and waits until that was done. An answer before the waiting was over says that it was,
 * though a caller may have woken it since.
 */
export async function setAsleep(
  connections: Connections,
  scope: Scope,
  sandboxId: string,
  asleep: boolean,
): Promise<WireSandbox> {
  for (;;) {
    const waitMs = Math.min(POLL_MS, Math.ceil(scope.remainingMs));
    const request = { sandboxId, waitMs };
    let startedAt = 0;
    const answer = await connections.callApi(
      scope,
      ({ sandboxes }, call) => {
        startedAt = performance.now();
        return callUnary(sandboxes, asleep ? sandboxes.sleepSandbox : sandboxes.wakeSandbox, request, call);
      },
      { maxAttemptMs: POLL_ATTEMPT_MS },
    );
    const sandbox = present(answer.sandbox);
    const isDone = performance.now() - startedAt < waitMs;
    if (isDone || sandbox.asleep === asleep || sandbox.state === SandboxState.ENDED) return sandbox;
    scope.throwIfOver();
  }
}

/** The api waits so long for the kernel, and some more. */
const NETWORK_ATTEMPT_MS = 20_000;

/** Gives it another policy, and waits until the kernel of its machine has it. */
export async function updateNetwork(
  connections: Connections,
  scope: Scope,
  sandboxId: string,
  policy: NetworkPolicy,
): Promise<WireSandbox> {
  const request = { sandboxId, network: toPolicy(policy) };
  const { sandbox } = await connections.callApi(
    scope,
    ({ sandboxes }, call) => callUnary(sandboxes, sandboxes.updateNetworkPolicy, request, call),
    { maxAttemptMs: NETWORK_ATTEMPT_MS, isFinal: isPending },
  );
  return present(sandbox);
}

/** The platform has taken the policy and says that it is not in the kernel yet: to ask again changes nothing. */
function isPending({ answered, error }: Failure): boolean {
  return answered && SallyportError.is(error, "Unavailable") && error.field === "network";
}

/** What the policy says to a destination. */
export async function explainDestination(
  connections: Connections,
  scope: Scope,
  sandboxId: string,
  destination: string,
): Promise<Explanation> {
  const request = { sandboxId, destination };
  const answer = await connections.callApi(scope, ({ sandboxes }, call) =>
    callUnary(sandboxes, sandboxes.explainDestination, request, call),
  );
  const { allowed, rule, why, hint } = answer;
  return Object.freeze({ allowed, rule, why, hint });
}

/** Waits for the end of a sandbox, or ends it and waits: as it is then, or was when the api had waited long enough. */
export async function awaitEnd(
  connections: Connections,
  scope: Scope,
  sandboxId: string,
  method: "waitSandbox" | "terminateSandbox",
): Promise<WireSandbox> {
  const request = { sandboxId, waitMs: Math.min(POLL_MS, Math.ceil(scope.remainingMs)) };
  const { sandbox } = await connections.callApi(
    scope,
    ({ sandboxes }, call) => callUnary(sandboxes, sandboxes[method], request, call),
    { maxAttemptMs: POLL_ATTEMPT_MS },
  );
  return present(sandbox);
}

function present(sandbox: WireSandbox | undefined): WireSandbox {
  if (sandbox === undefined) throw sdkError("Internal", "the platform answered without a sandbox");
  return sandbox;
}
