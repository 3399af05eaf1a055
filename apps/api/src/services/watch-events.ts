// What happened to a sandbox: read from any number on, and followed to its end.
import { invalidArgument } from "@sallyport/appkit/errors";
import type { SandboxEvent } from "../domain/sandbox-event.ts";
import { listEvents } from "../store/sandbox-events.ts";
import { findSandbox } from "../store/sandboxes.ts";
import { sandboxTopic } from "../store/topics.ts";
import type { ServiceDeps } from "./deps.ts";
import { getSandbox } from "./sandboxes.ts";

const BATCH = 100;
/** A wake-up may be lost: look now and then. */
const LOOK_EVERY_MS = 2_000;

export interface WatchEventsRequest {
  readonly sandboxId: string;
  readonly afterSeq: number;
  readonly follow: boolean;
}

/** Oldest first. Following ends when the sandbox has ended and all of it was told. */
export async function* watchEvents(
  workspaceId: string,
  deps: ServiceDeps,
  request: WatchEventsRequest,
  signal: AbortSignal,
): AsyncGenerator<SandboxEvent, void, undefined> {
  let { afterSeq } = request;
  if (!Number.isSafeInteger(afterSeq) || afterSeq < 0) throw invalidArgument("after_seq", "must be 0 or more");
  const { sandboxId } = request;
  await getSandbox(workspaceId, deps, sandboxId);
  using subscription = deps.hub.subscribe(sandboxTopic(sandboxId));
  for (;;) {
    // Asked before the events are read: what an end wrote is among them.
    const record = request.follow ? await findSandbox(workspaceId, deps.db, sandboxId) : undefined;
    const isOver = record === undefined || record.sandbox.state === "ended";
    let events: SandboxEvent[];
    do {
      events = await listEvents(workspaceId, deps.db, { sandboxId, afterSeq, limit: BATCH });
      for (const event of events) {
        yield event;
        afterSeq = event.seq;
      }
    } while (events.length === BATCH);
    if (isOver) return;
    await subscription.next(LOOK_EVERY_MS, signal);
  }
}
