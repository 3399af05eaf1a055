// Telling the api how one making goes: its log piece by piece, and at last what has become of it. Repeated until the api
// has it; a log that an earlier worker began is continued.
import type { Clock } from "@sallyport/appkit/clock";
import { fromGrpcError, isAppError } from "@sallyport/appkit/errors";
import { Backoff } from "@sallyport/appkit/retry";
import type { ImageDefaults } from "@sallyport/contracts";
import { ImageState } from "@sallyport/contracts";
import type { ApiLink } from "../control/api-link.ts";
import { MAX_LOG_BYTES } from "./limits.ts";

export interface MakingTellerOptions {
  readonly imageId: string;
  readonly link: Pick<ApiLink, "reportImage">;
  readonly clock: Clock;
  /** Aborted when nobody wants to know any more. */
  readonly signal: AbortSignal;
}

export type MakingEnd =
  | { readonly state: typeof ImageState.FAILED; readonly error: string }
  | {
      readonly state: typeof ImageState.READY;
      readonly digest: string;
      readonly size: number;
      readonly defaults: ImageDefaults;
    };

const SEND_EVERY_MS = 200;
const PIECE_CHARACTERS = 64 * 1024;

export class MakingTeller implements AsyncDisposable {
  readonly #options: MakingTellerOptions;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  #pending = "";
  #logged = 0;
  /** Bytes that the api has. */
  #offset = 0;
  #sending: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: MakingTellerOptions) {
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
  }

  /** Says that the making has begun, and learns how much of a log there is. */
  async begin(): Promise<void> {
    this.#offset = await this.#report({ state: ImageState.BUILDING }, "");
  }

  log(text: string): void {
    if (this.#logged >= MAX_LOG_BYTES) return;
    this.#logged += Buffer.byteLength(text);
    this.#pending += this.#logged >= MAX_LOG_BYTES ? `${text}\n(the log is cut off here)\n` : text;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#sending = this.#sending.then(() => this.#flush()).catch((error: unknown) => this.#stop.abort(error));
    }, SEND_EVERY_MS);
  }

  /** All of the log, and then the end. */
  async end(end: MakingEnd): Promise<void> {
    clearTimeout(this.#timer);
    await this.#sending;
    await this.#flush();
    await this.#report(end, "");
  }

  async #flush(): Promise<void> {
    while (this.#pending !== "") {
      const piece = this.#pending.slice(0, PIECE_CHARACTERS);
      this.#pending = this.#pending.slice(PIECE_CHARACTERS);
      this.#offset = await this.#report({ state: ImageState.BUILDING }, piece);
    }
  }

  async #report(what: MakingEnd | { readonly state: typeof ImageState.BUILDING }, log: string): Promise<number> {
    const { link, clock, imageId } = this.#options;
    const none = { digest: "", size: 0, error: "" };
    const report = { ...none, ...what, imageId, log, logOffset: this.#offset };
    const backoff = new Backoff({ firstMs: 100, maxMs: 5_000, clock });
    for (;;) {
      try {
        return await link.reportImage(report, this.#signal);
      } catch (error) {
        this.#signal.throwIfAborted();
        const known = fromGrpcError(error);
        if (isAppError(known, "NotFound") || isAppError(known, "InvalidArgument")) throw known;
        await backoff.pause(this.#signal);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    this.#stop.abort(new Error("the making is over"));
    await this.#sending;
  }
}
