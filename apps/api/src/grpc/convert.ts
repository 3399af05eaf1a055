// Where generated messages end: to and from what the services of tenants and operators know. No judgement here.
import type {
  ApiToken,
  CreateSandboxRequest,
  IoAccess as IoAccessMessage,
  Outcome as OutcomeMessage,
  SandboxEvent as SandboxEventMessage,
  Sandbox as SandboxMessage,
  Worker,
  WorkerStatus,
  Workspace,
  WorkspaceQuota,
} from "@sallyport/contracts";
import { EndReason as EndReasonCode, SandboxState as SandboxStateCode } from "@sallyport/contracts";
import type { EndReason, Outcome, SandboxState } from "../domain/instance-state.ts";
import type { Quota } from "../domain/quota.ts";
import type { CreateSandboxInput, Sandbox } from "../domain/sandbox.ts";
import type { SandboxEvent } from "../domain/sandbox-event.ts";
import type { IoAccess } from "../services/io-access.ts";
import type { WorkerView } from "../services/lost-workers.ts";
import type { ApiTokenRow } from "../store/api-tokens.ts";
import type { WorkerStatusRow } from "../store/workers.ts";
import type { WorkspaceRow } from "../store/workspaces.ts";
import { fromNetworkPolicy, toNetworkPolicy } from "./convert-network.ts";
import { toDeclaredPort, toInbound } from "./convert-tunnel.ts";

const STATES: Readonly<Record<SandboxState, SandboxStateCode>> = {
  pending: SandboxStateCode.PENDING,
  running: SandboxStateCode.RUNNING,
  stopping: SandboxStateCode.STOPPING,
  ended: SandboxStateCode.ENDED,
};

export const END_REASONS: Readonly<Record<EndReason, EndReasonCode>> = {
  exited: EndReasonCode.EXITED,
  signalled: EndReasonCode.SIGNALLED,
  timeout: EndReasonCode.TIMEOUT,
  idle: EndReasonCode.IDLE,
  oom: EndReasonCode.OOM,
  pids: EndReasonCode.PIDS,
  terminated: EndReasonCode.TERMINATED,
  init_failure: EndReasonCode.INIT_FAILURE,
  lost: EndReasonCode.LOST,
};

export function fromCreateRequest(request: CreateSandboxRequest): CreateSandboxInput {
  const { idempotencyKey, appName, image, workdir, lifetimeMs, cpuMillis, pty, waitMs } = request;
  return {
    idempotencyKey,
    appName,
    image,
    workdir,
    lifetimeMs,
    cpuMillis,
    pty,
    waitMs,
    memoryMiB: request.memoryMib,
    command: request.command?.argv,
    env: new Map(Object.entries(request.env)),
    name: request.name,
    tags: new Map(Object.entries(request.tags)),
    idleTimeoutMs: request.idleTimeoutMs,
    sleepAfterMs: request.sleepAfterMs,
    diskMiB: request.diskMib,
    dns: request.dns,
    encryptedPorts: request.encryptedPorts,
    h2Ports: request.h2Ports,
    unencryptedPorts: request.unencryptedPorts,
    proxyProtocolPorts: request.proxyProtocolPorts,
    inbound: request.inboundCidrAllowlist?.cidrs,
    network: request.network === undefined ? undefined : fromNetworkPolicy(request.network),
  };
}

export function toSandbox(sandbox: Sandbox): SandboxMessage {
  const { id, appId, appName, image, createdAt, startedAt, endedAt, cpuMillis, lifetimeMs, unreachable } = sandbox;
  return {
    id,
    appId,
    appName,
    image,
    createdAt,
    startedAt,
    endedAt,
    cpuMillis,
    lifetimeMs,
    unreachable,
    state: STATES[sandbox.state],
    outcome: sandbox.outcome === undefined ? undefined : toOutcome(sandbox.outcome),
    network: toNetworkPolicy(sandbox.network),
    memoryMib: sandbox.memoryMiB,
    command: sandbox.command === undefined ? undefined : { argv: [...sandbox.command] },
    name: sandbox.name,
    tags: { ...sandbox.tags },
    idleTimeoutMs: sandbox.idleTimeoutMs,
    sleepAfterMs: sandbox.sleepAfterMs,
    diskMib: sandbox.diskMiB,
    asleep: sandbox.asleep,
    dns: [...sandbox.dns],
    ports: sandbox.ports.map(toDeclaredPort),
    inboundCidrAllowlist: toInbound(sandbox.inbound),
    networkGeneration: sandbox.networkGeneration,
    networkPending: sandbox.networkPending,
  };
}

export function toSandboxEvent({ seq, at, type, detail }: SandboxEvent): SandboxEventMessage {
  return { seq, at, type, detail: { ...detail } };
}

function toOutcome({ reason, exitCode, signal, message, startErrorField }: Outcome): OutcomeMessage {
  return { reason: END_REASONS[reason], exitCode, signal, message, startErrorField };
}

export function toIoAccess({ address, url, token, expiresAt }: IoAccess): IoAccessMessage {
  return { address, url, token, expiresAt };
}

export function toWorkspace(row: WorkspaceRow): Workspace {
  return { id: row.id, name: row.name, createdAt: row.created_at };
}

export function toQuota({ sandboxes, cpuMillis, memoryMiB, diskMiB, createsPerMinute }: Quota): WorkspaceQuota {
  return { sandboxes, cpuMillis, memoryMib: memoryMiB, diskMib: diskMiB, createsPerMinute };
}

export function toWorker({ id, lastSeenAt, isUnreachable, instances }: WorkerView): Worker {
  return { id, lastSeenAt, unreachable: isUnreachable, instances };
}

export function toApiToken(row: ApiTokenRow): ApiToken {
  return {
    id: row.id,
    workspaceId: row.workspace_id,
    workspaceName: row.workspace_name,
    name: row.name,
    createdAt: row.created_at,
    revokedAt: row.revoked_at ?? undefined,
  };
}

export function toWorkerStatus(row: WorkerStatusRow): WorkerStatus {
  return {
    id: row.id,
    connected: row.connected,
    lastSeenAt: row.last_seen_at,
    cpuMillis: row.cpu_millis,
    memoryMib: row.memory_mib,
    instances: row.instances,
    runscVersion: row.runsc_version,
  };
}
