// One line for each connection into a sandbox, as JSON. No label of a host (who knows it may come), and no byte of anybody's.
import type { DayLogOptions } from "@sallyport/edge";
import { DayLog, logText } from "@sallyport/edge";
import type { TunnelEnd } from "./tunnel-end.ts";

export class AccessLog implements AsyncDisposable {
  readonly #days: DayLog;

  private constructor(days: DayLog) {
    this.#days = days;
  }

  static async open(options: DayLogOptions): Promise<AccessLog> {
    return new AccessLog(await DayLog.open(options));
  }

  /** Lines that were not written, since the start. */
  get dropped(): number {
    return this.#days.dropped;
  }

  /** Whoever comes is a stranger: tunnels ask nobody who he is. One who has talked to an app counts as its client. */
  write(end: TunnelEnd): void {
    const isStranger = end.inBytes === 0 || end.outBytes === 0;
    if (this.#days.hasRoom(isStranger)) this.#days.add(fieldsOf(end), isStranger);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#days[Symbol.asyncDispose]();
  }
}

function fieldsOf({ inBytes, kind, ms, outBytes, peer, port, reason, sandboxId }: TunnelEnd): string {
  return (
    `"sandboxId":${logText(sandboxId)},"port":${port},"kind":"${kind}","peer":${logText(peer)},"end":"${reason}",` +
    `"inBytes":${inBytes},"outBytes":${outBytes},"ms":${Math.round(ms)}`
  );
}
