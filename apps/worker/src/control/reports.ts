// Telling the api what is: at once after a change, and every few seconds as a sign of life. What is not acknowledged is
// told again; of several changes of one instance only the last one matters.
import type { Clock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import { Backoff } from "@sallyport/appkit/retry";
import type { InstanceAck, InstanceReport } from "@sallyport/contracts";

export interface ReporterOptions {
  readonly send: (reports: InstanceReport[], signal: AbortSignal) => Promise<readonly InstanceAck[]>;
  readonly onAck: (ack: InstanceAck) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** 5,000 ms when unset. */
  readonly heartbeatMs?: number;
}

export interface Reporter extends AsyncDisposable {
  put(report: InstanceReport): void;
  /** Begins to send. */
  begin(): void;
  /** Sends now, though there may be nothing to report: something else is to go along. */
  nudge(): void;
  /** Resolves when all that was put is acknowledged, or with the deadline; never rejects. */
  flush(timeoutMs: number): Promise<void>;
}

/** Reports in one request: far below the most bytes of a message. */
const MAX_REPORTS = 100;

export function openReporter(options: ReporterOptions): Reporter {
  const { clock, logger } = options;
  const heartbeatMs = options.heartbeatMs ?? 5_000;
  const pending = new Map<string, InstanceReport>();
  const closed = new AbortController();
  let sending: Promise<void> | undefined;
  let isFresh = false;
  let wake = () => {};
  let onEmpty = () => {};

  const sendAll = async () => {
    isFresh = false;
    const reports = [...pending.values()];
    for (let from = 0; from === 0 || from < reports.length; from += MAX_REPORTS) {
      const acks = await options.send(reports.slice(from, from + MAX_REPORTS), closed.signal);
      for (const ack of acks) {
        const told = pending.get(ack.instanceId);
        if (told !== undefined && ack.seq >= told.seq) pending.delete(ack.instanceId);
        await options.onAck(ack);
      }
    }
    if (pending.size === 0) onEmpty();
  };

  const loop = async () => {
    const backoff = new Backoff({ firstMs: 100, maxMs: 2_000, clock });
    let isReachable = true;
    while (!closed.signal.aborted) {
      try {
        await sendAll();
        if (!isReachable) logger.info({}, "the api takes reports again");
        isReachable = true;
        backoff.reset();
        if (!isFresh) await wakeOr(heartbeatMs);
      } catch (error) {
        if (closed.signal.aborted) return;
        if (isReachable) logger.warn({ err: error }, "the api does not take reports; everything goes on");
        isReachable = false;
        await backoff.pauseOrAbort(closed.signal);
      }
    }
  };

  const wakeOr = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  return {
    put(report) {
      const known = pending.get(report.instanceId);
      if (known !== undefined && known.seq > report.seq) return;
      pending.set(report.instanceId, report);
      isFresh = true;
      wake();
    },
    begin() {
      sending ??= loop();
    },
    nudge() {
      isFresh = true;
      wake();
    },
    async flush(timeoutMs) {
      if (pending.size === 0 || sending === undefined) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        onEmpty = () => {
          clearTimeout(timer);
          resolve();
        };
        isFresh = true;
        wake();
      });
    },
    async [Symbol.asyncDispose]() {
      closed.abort(new Error("the worker stops"));
      wake();
      await sending;
    },
  };
}
