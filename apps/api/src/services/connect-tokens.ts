// Connect tokens of a workspace's sandboxes: issued here alone, verified by edges alone. What is kept of one is never the
// token itself.
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import type { Json } from "@sallyport/connect-token/issue";
import {
  ConnectTokenError,
  DEFAULT_LIFE_MS,
  DEFAULT_PORT,
  issueConnectToken,
  MAX_LIFE_MS,
  MIN_LIFE_MS,
  serializeUserData,
} from "@sallyport/connect-token/issue";
import { INIT_PORT } from "@sallyport/contracts";
import { newId } from "../domain/ids.ts";
import { sandboxState } from "../domain/instance-state.ts";
import { MAX_CONNECT_TOKENS, MAX_REVOCATIONS, REVOKE_WAIT_MS } from "../domain/limits.ts";
import type { EventDetail } from "../domain/sandbox-event.ts";
import type { ConnectTokenRow, InsertedToken } from "../store/connect-tokens.ts";
import {
  insertConnectToken,
  isTokenRevoked,
  listConnectTokens,
  lockSandbox,
  raiseTokenEpoch,
  revokeConnectToken,
} from "../store/connect-tokens.ts";
import type { Db } from "../store/database.ts";
import { inTransaction } from "../store/database.ts";
import { readHead } from "../store/routes.ts";
import { appendEvents } from "../store/sandbox-events.ts";
import { sandboxTopic } from "../store/topics.ts";
import { checkId, checkNumber } from "./check.ts";
import type { ServiceDeps } from "./deps.ts";
import { staleEdges } from "./edge-acknowledgements.ts";
import { getSandbox } from "./sandboxes.ts";
import { hostUrl } from "./urls.ts";

export interface CreateTokenInput {
  readonly sandboxId: string;
  /** Whatever the wire had; undefined for none. */
  readonly userMetadata: unknown;
  readonly port: number | undefined;
  readonly expiresInMs: number | undefined;
  readonly embed: boolean;
}

export interface CreatedToken {
  readonly tokenId: string;
  readonly token: string;
  readonly url: string;
  readonly expiresAt: Date;
  readonly warnings: readonly string[];
  /** Empty where public authorities vouch for the connect domain. */
  readonly caPem: string;
}

const PORT = { min: 1, max: 65_535, unset: DEFAULT_PORT };
const LIFE_MS = { min: MIN_LIFE_MS, max: MAX_LIFE_MS, unset: DEFAULT_LIFE_MS };

/** Throws InvalidArgument, NotFound, SandboxEnded, ResourceExhausted. A sandbox that has not started yet will do. */
export async function createToken(
  workspaceId: string,
  deps: ServiceDeps,
  input: CreateTokenInput,
): Promise<CreatedToken> {
  const sandboxId = checkId("sandbox", "sandbox_id", input.sandboxId);
  const userMetadata = checkUserMetadata(input.userMetadata);
  const port = checkNumber("port", input.port, PORT);
  if (port === INIT_PORT) throw invalidArgument("port", "is the platform's own", "choose another");
  const lifeMs = checkNumber("expires_in_ms", input.expiresInMs, LIFE_MS);
  const nowMs = deps.clock.now();
  const expiresAt = new Date(Math.floor((nowMs + lifeMs) / 1_000) * 1_000);
  const id = newId("connectToken");
  const { embed } = input;
  const row = {
    id,
    sandboxId,
    port,
    embed,
    createdAt: new Date(nowMs),
    expiresAt,
    hasUserData: userMetadata !== undefined,
  };
  const { epoch, keyId, ...made } = await insert(workspaceId, deps, row);
  const key = await deps.connectKeys.open(keyId);
  const request = { id, sandboxId, workspaceId, port, userMetadata, epoch, expiresInMs: lifeMs, embed };
  const issuer = { issuer: `sallyport:${deps.platformId}`, key, now: () => nowMs };
  const { token } = await issueConnectToken(request, issuer);
  return {
    tokenId: id,
    token,
    url: hostUrl(`${sandboxId}.${deps.connect.domain}`, deps.connect.port),
    expiresAt,
    warnings: [...warningsOf(input, made, expiresAt), ...tunnelWarnings(row, made)],
    caPem: (await deps.authority.certificate())?.certificatePem ?? "",
  };
}

type NewRow = Parameters<typeof insertConnectToken>[2];

async function insert(
  workspaceId: string,
  deps: ServiceDeps,
  row: NewRow,
): Promise<InsertedToken & { readonly keyId: string }> {
  const options = { limit: MAX_CONNECT_TOKENS, masterKeyId: deps.connectKeys.masterKeyId };
  const { id: tokenId, port, expiresAt, sandboxId } = row;
  const made = await inTransaction(deps.db, async (tx) => {
    const inserted = await insertConnectToken(workspaceId, tx, row, options);
    const detail = { tokenId, port, expiresAt: expiresAt.toISOString() };
    if (inserted?.isMade === true) await tell(tx, sandboxId, "connect_token_created", detail);
    return inserted;
  });
  if (made === undefined) throw unknownSandbox(sandboxId);
  deps.hub.wake(sandboxTopic(sandboxId));
  const { hasRoom, isMade, keyId, observed, wish } = made;
  if (isMade && keyId !== undefined) return { ...made, keyId };
  const state = sandboxState(wish, observed);
  if (state === "ended" || state === "stopping") {
    const problem = `${row.sandboxId} ${state === "ended" ? "has ended" : "is being ended"}`;
    throw new AppError("SandboxEnded", problem, { field: "sandbox_id" });
  }
  if (!hasRoom) {
    throw new AppError(
      "ResourceExhausted",
      `a sandbox has at most ${MAX_CONNECT_TOKENS} tokens that have not expired`,
      {
        field: "sandbox_id",
        hint: "let them live for a shorter time, or use one for several connections",
      },
    );
  }
  if (row.hasUserData && made.hasTunnel && made.refusesUserData) {
    const problem = `user_metadata: a tunnel leads to port ${port} as well, and the workspace takes none there`;
    throw new AppError("FailedPrecondition", problem, {
      field: "user_metadata",
      hint: "leave it out, choose a port that was not declared, or have an operator change the workspace's rules of tokens",
    });
  }
  throw new AppError("Unavailable", "no key signs connect tokens", { retryAfterMs: 1_000 });
}

/** Law 23: what comes by the tunnel may say anything of who it is. */
function tunnelWarnings(
  { hasUserData, port }: Pick<NewRow, "hasUserData" | "port">,
  { hasTunnel }: Pick<InsertedToken, "hasTunnel">,
): string[] {
  if (!hasUserData || !hasTunnel) return [];
  return [
    `a tunnel leads to port ${port} as well, past the connect-proxy: an app must trust the signed assertion alone, not X-Verified-User-Data`,
  ];
}

/** Throws InvalidArgument that names the member at fault. */
function checkUserMetadata(value: unknown): Json | undefined {
  try {
    serializeUserData(value, "user_metadata");
    return value as Json | undefined;
  } catch (error) {
    if (!(error instanceof ConnectTokenError)) throw error;
    throw new AppError("InvalidArgument", error.message, { field: error.field, cause: error });
  }
}

/** What of the request will surprise. */
function warningsOf(
  { expiresInMs }: CreateTokenInput,
  { lifetimeMs, startedAt }: Pick<InsertedToken, "lifetimeMs" | "startedAt">,
  expiresAt: Date,
): string[] {
  if (expiresInMs === undefined || startedAt === undefined) return [];
  const end = new Date(startedAt.getTime() + lifetimeMs);
  if (end >= expiresAt) return [];
  return [`the sandbox ends by ${end.toISOString()}, before the token expires, and the token with it`];
}

/** Those that have not expired, newest first. */
export async function listTokens(
  workspaceId: string,
  deps: ServiceDeps,
  sandboxId: string,
): Promise<readonly ConnectTokenRow[]> {
  await getSandbox(workspaceId, deps, sandboxId);
  return listConnectTokens(workspaceId, deps.db, sandboxId, new Date(deps.clock.now()));
}

/** Names the edges that may still take the token. Idempotent; NotFound for none of this sandbox's. */
export async function revokeToken(
  workspaceId: string,
  deps: ServiceDeps,
  request: { readonly sandboxId: string; readonly tokenId: string },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const id = checkId("connectToken", "token_id", request.tokenId);
  const sandboxId = checkId("sandbox", "sandbox_id", request.sandboxId);
  await inTransaction(deps.db, async (tx) => {
    const isLiving = await lockSandbox(workspaceId, tx, sandboxId);
    if (isLiving === undefined) throw unknownSandbox(sandboxId);
    const isRevoked = await isTokenRevoked(workspaceId, tx, { sandboxId, id });
    if (isRevoked === undefined) {
      throw new AppError("NotFound", `${sandboxId} has no connect token ${id}`, { field: "token_id" });
    }
    if (isRevoked || !isLiving) return; // with its sandbox it has ended already
    if (!(await revokeConnectToken(workspaceId, tx, { sandboxId, id }, MAX_REVOCATIONS))) throw tooManyRevoked();
    await tell(tx, sandboxId, "connect_token_revoked", { tokenId: id });
  });
  return atEdges(deps, sandboxId, signal);
}

/** The same for all that a sandbox has so far. */
export async function revokeAllTokens(
  workspaceId: string,
  deps: ServiceDeps,
  request: { readonly sandboxId: string },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const sandboxId = checkId("sandbox", "sandbox_id", request.sandboxId);
  await inTransaction(deps.db, async (tx) => {
    const isLiving = await lockSandbox(workspaceId, tx, sandboxId);
    if (isLiving === undefined) throw unknownSandbox(sandboxId);
    const epoch = await raiseTokenEpoch(workspaceId, tx, sandboxId);
    if (isLiving) await tell(tx, sandboxId, "connect_tokens_revoked", { epoch });
  });
  return atEdges(deps, sandboxId, signal);
}

type TokenEvent = "connect_token_created" | "connect_token_revoked" | "connect_tokens_revoked";

/** Of a locked sandbox that has not ended: nothing is told after its end. */
function tell(tx: Db, sandboxId: string, type: TokenEvent, detail: EventDetail): Promise<void> {
  return appendEvents(tx, sandboxId, [{ type, at: undefined, detail }]);
}

/** What was committed has the newest number or an older one. */
async function atEdges(deps: ServiceDeps, sandboxId: string, signal: AbortSignal): Promise<readonly string[]> {
  deps.hub.wake(sandboxTopic(sandboxId));
  return staleEdges(deps, await readHead(deps.db), REVOKE_WAIT_MS, signal);
}

function tooManyRevoked(): AppError {
  const problem = `a workspace has at most ${MAX_REVOCATIONS} revoked tokens that have not expired`;
  return new AppError("ResourceExhausted", problem, {
    field: "token_id",
    hint: "revoke all tokens of the sandbox, which needs no room; and let tokens live for a shorter time",
  });
}

function unknownSandbox(sandboxId: string): AppError {
  return new AppError("NotFound", `there is no sandbox ${sandboxId}`, { field: "sandbox_id" });
}
