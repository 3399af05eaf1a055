// What happened to a sandbox: read from any event on, and followed through outages without loss or repetition.
import { callServerStream } from "@sallyport/contracts/grpc";
import type { Json } from "./json-value.ts";
import type { CallOptions, Scope } from "./scope.ts";
import type { Connections } from "./transport.ts";
import { wholeNumber } from "./wire-values.ts";

/** How {@link Sandbox.events} reads. Without `follow`, `timeoutMs` is 60,000 unless it is given. */
export interface EventsOptions extends CallOptions {
  /** Goes on with what happens next, until the sandbox has ended. */
  readonly follow?: boolean | undefined;
  /** Only events after this number, e.g. the last `seq` that an earlier run saw. */
  readonly afterSeq?: number | undefined;
}

/** Something that happened to a sandbox. */
export interface SandboxEvent {
  /** Grows with each event of the sandbox, from 1. A gap: the platform has let go of older events. */
  readonly seq: number;
  readonly at: Date;
  /** E.g. `created`, `started`, `asleep`, `network_denied`, `disk_full`, `ended`; a newer platform may know more. */
  readonly type: string;
  /** What belongs to the type. */
  readonly detail: Json;
}

/** Oldest first. */
export async function* readEvents(
  connections: Connections,
  scope: Scope,
  sandboxId: string,
  options: EventsOptions,
): AsyncGenerator<SandboxEvent, void> {
  let afterSeq = wholeNumber("afterSeq", options.afterSeq, Number.MAX_SAFE_INTEGER) ?? 0;
  const follow = options.follow ?? false;
  const messages = connections.streamApi(scope, ({ sandboxes }, call) =>
    callServerStream(sandboxes, sandboxes.watchSandboxEvents, { sandboxId, afterSeq, follow }, call),
  );
  for await (const { event } of messages) {
    if (event === undefined || event.seq <= afterSeq) continue;
    afterSeq = event.seq;
    const { seq, at = new Date(0), type, detail = {} } = event;
    yield Object.freeze({ seq, at, type, detail: detail as Json });
  }
}
