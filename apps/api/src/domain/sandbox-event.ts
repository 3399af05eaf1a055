// What can happen to a sandbox: a closed list of types, and details that are small whoever wrote them. docs/events.md
// tells callers the same.
import { denialDetail } from "./denial.ts";

type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
/** What belongs to an event. */
export type EventDetail = Readonly<Record<string, Json>>;

/** Written by the api itself, with the change that they tell of. */
export const API_EVENT_TYPES = [
  "created",
  "placed",
  "started",
  "tags_changed",
  "network_policy_changed",
  "connect_token_created",
  "connect_token_revoked",
  "connect_tokens_revoked",
  "stop_requested",
  "unreachable",
  "reachable",
  "ended",
] as const;
type ApiEventType = (typeof API_EVENT_TYPES)[number];

/** What a worker may report; of anything else it says nothing that we tell on. */
export const WORKER_EVENT_TYPES = ["asleep", "awake", "oom_kill", "pids_limit", "disk_full", "network_denied"] as const;
export type WorkerEventType = (typeof WORKER_EVENT_TYPES)[number];

/** An event to be written. */
export interface NewEvent {
  readonly type: ApiEventType | WorkerEventType;
  /** Now, by the database's clock, when undefined. */
  readonly at: Date | undefined;
  readonly detail: EventDetail;
}

/** An event as it was written. */
export interface SandboxEvent {
  readonly seq: number;
  readonly at: Date;
  readonly type: string;
  readonly detail: EventDetail;
}

/** An event as a worker reports it. */
export interface ReportedEvent {
  readonly seq: number;
  readonly at: Date;
  readonly type: string;
  readonly detail: unknown;
}

/** Whether a worker may tell of this. */
export function isWorkerEventType(type: string): type is WorkerEventType {
  return (WORKER_EVENT_TYPES as readonly string[]).includes(type);
}

/** What we tell on of a worker's event; undefined when it is not fit to be told. */
export function toldDetail(type: WorkerEventType, detail: unknown): EventDetail | undefined {
  if (type !== "network_denied") return boundedDetail(detail);
  const denial = denialDetail(detail);
  return denial === undefined ? undefined : boundedDetail(denial);
}

const MAX_DETAIL_KEYS = 16;
const MAX_DETAIL_DEPTH = 3;
const MAX_DETAIL_CHARACTERS = 500;

/** A detail of ours from one that a worker wrote: few members, short texts, nothing that PostgreSQL would not keep. */
export function boundedDetail(detail: unknown): EventDetail {
  const bounded = bound(detail, MAX_DETAIL_DEPTH);
  return typeof bounded === "object" && bounded !== null && !Array.isArray(bounded) ? (bounded as EventDetail) : {};
}

function bound(value: unknown, depth: number): Json {
  switch (typeof value) {
    case "string":
      return boundText(value);
    case "number":
      return Number.isFinite(value) ? value : null;
    case "boolean":
      return value;
    case "object":
      if (value === null || depth === 0) return null;
      if (Array.isArray(value)) return value.slice(0, MAX_DETAIL_KEYS).map((item) => bound(item, depth - 1));
      return Object.fromEntries(
        Object.entries(value)
          .slice(0, MAX_DETAIL_KEYS)
          .map(([key, item]) => [boundText(key), bound(item, depth - 1)]),
      );
    default:
      return null;
  }
}

/** PostgreSQL keeps neither NUL nor lone surrogates, and an event that cannot be kept would come for ever. */
function boundText(text: string): string {
  return text.slice(0, MAX_DETAIL_CHARACTERS).replaceAll("\0", "\uFFFD").toWellFormed();
}
