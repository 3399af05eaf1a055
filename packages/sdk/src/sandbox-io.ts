// SandboxIO of one sandbox: address and token from the api, renewed in time, and calls that ride out the gateway's
// restarts. Every method of SandboxIO is addressed by ids and byte offsets, so each may be repeated, signals excepted.
import type { Metadata } from "@grpc/grpc-js";
import type { IoAccess, OutputStream } from "@sallyport/contracts";
import type { GrpcCallOptions, SandboxIOClient } from "@sallyport/contracts/grpc";
import { callServerStream, callUnary } from "@sallyport/contracts/grpc";
import { isHeaderText } from "./config.ts";
import { SallyportError, sdkError } from "./errors.ts";
import { Attempt, DEFAULT_OUTAGE_MS, Outage, persist } from "./retry.ts";
import type { CallOptions } from "./scope.ts";
import { Scope } from "./scope.ts";
import { SharedWork } from "./shared-work.ts";
import { readFailure } from "./translate.ts";
import type { Connections } from "./transport.ts";
import { bearer } from "./transport.ts";

const RENEW_BEFORE_MS = 30_000;
const RENEW_TIMEOUT_MS = 30_000;
const QUICK_ATTEMPT_MS = 15_000;
/** A token straight from the api that is refused so often stays refused. */
const MAX_REFUSED_TOKENS = 3;

/** What {@link SandboxIo.read} yields: bytes at an offset, or the offset after bytes that are no longer kept. */
export type OutputEvent =
  | { readonly type: "bytes"; readonly data: Uint8Array }
  | { readonly type: "lost"; readonly from: number; readonly to: number };

/** How one call of SandboxIO is made. */
export interface IoCallLimits {
  readonly maxAttemptMs?: number;
  /** Sent at most once: it waits for a connection, and a break after that is the caller's to judge. */
  readonly once?: boolean;
}

/** Calls of SandboxIO for one sandbox. */
export class SandboxIo {
  readonly sandboxId: string;
  readonly connections: Connections;
  readonly #released = new AbortController();
  #access: IoAccess | undefined;
  #renewal: SharedWork<IoAccess> | undefined;

  constructor(sandboxId: string, connections: Connections, access: IoAccess | undefined) {
    this.sandboxId = sandboxId;
    this.connections = connections;
    this.#access = access;
  }

  /** The limits of one call: the caller's, the handle's and the client's. */
  scope(what: string, options: CallOptions, defaultTimeoutMs?: number): Scope {
    const owners = [this.#released.signal, this.connections.closed];
    return new Scope(what, options, owners, defaultTimeoutMs);
  }

  /** The limits of a call that neither the handle's end nor the client's cuts: cleaning up. */
  lastingScope(what: string, timeoutMs: number): Scope {
    return new Scope(what, { timeoutMs });
  }

  /** Ends all that runs here, and whatever is called later. */
  release(): void {
    if (this.#released.signal.aborted) return;
    this.#released.abort(
      sdkError("FailedPrecondition", `the handle of ${this.sandboxId} was let go`, {
        hint: "Sandbox.fromId() makes another",
      }),
    );
  }

  /** Resolves once there is access; throws what the api says where there is none. */
  async ready(scope: Scope): Promise<void> {
    await this.#ready(scope);
  }

  /** Makes a call that bears repetition (or, with `once`, does not). */
  async call<T>(
    scope: Scope,
    run: (stub: SandboxIOClient, options: GrpcCallOptions) => Promise<T>,
    limits: IoCallLimits = {},
  ): Promise<T> {
    const maxAttemptMs = limits.maxAttemptMs ?? QUICK_ATTEMPT_MS;
    const outageMs = () => (limits.once === true ? 0 : DEFAULT_OUTAGE_MS);
    const refusals = new Refusals();
    for (;;) {
      try {
        return await persist(scope, { outageMs, maxAttemptMs }, async (attempt) => {
          const ready = await this.#ready(scope);
          if (limits.once === true) ready.metadata.setOptions({ waitForReady: true });
          return run(ready.stub, { ...attempt.options, metadata: ready.metadata });
        });
      } catch (error) {
        refusals.count(error);
        this.#access = undefined;
      }
    }
  }

  /** Waits until `poll` answers something, asking again as long as the scope lasts. */
  async longPoll<T>(
    scope: Scope,
    waitMs: number,
    poll: (stub: SandboxIOClient, waitMs: number, options: GrpcCallOptions) => Promise<T | undefined>,
  ): Promise<T> {
    for (;;) {
      const answer = await this.call(
        scope,
        (stub, options) => poll(stub, Math.min(waitMs, Math.ceil(scope.remainingMs)), options),
        {
          maxAttemptMs: waitMs + QUICK_ATTEMPT_MS,
        },
      );
      if (answer !== undefined) return answer;
      scope.throwIfOver();
    }
  }

  /** Reads an output from an offset to its end (or, not following, what is there), through outages, without loss or repetition. */
  async *read(
    scope: Scope,
    execId: string,
    stream: OutputStream,
    from: { readonly offset: number; readonly follow: boolean },
  ): AsyncGenerator<OutputEvent, void> {
    const outage = new Outage(() => DEFAULT_OUTAGE_MS);
    const refusals = new Refusals();
    const { follow } = from;
    let { offset } = from;
    for (;;) {
      scope.throwIfOver();
      const attempt = new Attempt(scope, Number.POSITIVE_INFINITY);
      try {
        const { stub, metadata } = await this.#ready(scope);
        const request = { execId, stream, offset, follow };
        for await (const { event } of callServerStream(stub, stub.readOutput, request, {
          ...attempt.options,
          metadata,
        })) {
          outage.over();
          refusals.none();
          if (event === undefined) continue; // a newer gateway's
          const { offset: at } = event.value;
          if (at > offset) {
            // Said by a gap, or to be seen from the numbers: either way these bytes will not come.
            yield { type: "lost", from: offset, to: at };
            offset = at;
          }
          if (event.$case === "end") return;
          if (event.$case !== "chunk") continue;
          const data = event.value.data.subarray(offset - at);
          if (data.length === 0) continue;
          offset += data.length;
          yield { type: "bytes", data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
        }
        if (!follow) return;
        // Ended without saying that the output did: the gateway stops.
        const error = sdkError("Unavailable", "the gateway ended the stream early");
        await outage.ride({ error, broken: true, answered: false }, attempt);
      } catch (thrown) {
        const failure = readFailure(thrown, scope);
        if (!failure.broken) {
          refusals.count(failure.error);
          this.#access = undefined;
        } else {
          await outage.ride(failure, attempt);
        }
      }
    }
  }

  /**
   * Makes a streaming call and yields its messages; after a break `open` is called again, to go on where it was. The
   * end of a call counts as a break unless `isComplete`.
   */
  async *stream<T>(
    scope: Scope,
    open: (stub: SandboxIOClient, options: GrpcCallOptions) => AsyncIterable<T>,
    isComplete: () => boolean,
  ): AsyncGenerator<T, void> {
    const outage = new Outage(() => DEFAULT_OUTAGE_MS);
    const refusals = new Refusals();
    for (;;) {
      scope.throwIfOver();
      const attempt = new Attempt(scope, Number.POSITIVE_INFINITY);
      try {
        const { stub, metadata } = await this.#ready(scope);
        for await (const message of open(stub, { ...attempt.options, metadata })) {
          outage.over();
          refusals.none();
          yield message;
        }
        if (isComplete()) return;
        const error = sdkError("Unavailable", "the gateway ended the stream early");
        await outage.ride({ error, broken: true, answered: false }, attempt);
      } catch (thrown) {
        const failure = readFailure(thrown, scope);
        if (!failure.broken) {
          refusals.count(failure.error);
          this.#access = undefined;
        } else {
          await outage.ride(failure, attempt);
        }
      }
    }
  }

  async #ready(scope: Scope): Promise<{ stub: SandboxIOClient; metadata: Metadata }> {
    let access = this.#access;
    if (access === undefined || isStale(access)) {
      if (this.#renewal?.isOpen !== true) this.#renewal = new SharedWork((signal) => this.#renew(signal));
      access = await this.#renewal.waitFor(scope);
    }
    return { stub: this.connections.gateway(access.address), metadata: bearer(access.token) };
  }

  async #renew(signal: AbortSignal): Promise<IoAccess> {
    const request = { sandboxId: this.sandboxId };
    const scope = new Scope("getting access to SandboxIO", { signal, timeoutMs: RENEW_TIMEOUT_MS });
    const { ioAccess } = await this.connections.callApi(scope, ({ sandboxes }, options) =>
      callUnary(sandboxes, sandboxes.getIoAccess, request, options),
    );
    if (ioAccess === undefined || !isHeaderText(ioAccess.token)) {
      throw sdkError("Internal", `the platform answered without access to ${this.sandboxId}`);
    }
    this.#access = ioAccess;
    return ioAccess;
  }
}

/** Tokens that a gateway refused in a row. */
class Refusals {
  #count = 0;

  none(): void {
    this.#count = 0;
  }

  /** Throws anything but a refusal that a new token may mend. */
  count(error: unknown): void {
    if (!SallyportError.is(error, "Unauthenticated")) throw error;
    this.#count += 1;
    if (this.#count >= MAX_REFUSED_TOKENS) throw error;
  }
}

function isStale(access: IoAccess): boolean {
  return access.expiresAt !== undefined && access.expiresAt.getTime() - Date.now() < RENEW_BEFORE_MS;
}
