// One WebSocket after its handshake: bytes both ways, untouched, until an end closes or the proxy has to end it.
//
//   open → closing (a close frame is written to both, or one side has ended) → over
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ConnectGrant } from "@sallyport/connect-token/verify";
import type { ExchangeEnd } from "../exchange.ts";
import { closeFrame } from "./close-frame.ts";
import { FrameBoundary } from "./frame-boundary.ts";

export interface SpliceOptions {
  readonly grant: ConnectGrant;
  /** `early`: read already, and for the other side. `transport`: below TLS, to be reset. */
  readonly client: { readonly stream: Duplex; readonly early: Buffer; readonly transport: Socket | undefined };
  readonly app: { readonly stream: Duplex; readonly early: Buffer };
  readonly onOver: (end: SpliceEnd) => void;
}

type SpliceEnd = Pick<ExchangeEnd, "outcome" | "inBytes" | "outBytes"> & { readonly code?: string };

/** How long a close frame of ours has to get out, and an end of one side to become one of both. */
const CLOSING_MS = 500;
const HALF_CLOSED_MS = 10_000;

export class Splice {
  readonly grant: ConnectGrant;
  readonly #client: Side;
  readonly #app: Side;
  readonly #options: SpliceOptions;
  #timer: NodeJS.Timeout | undefined;
  #code: string | undefined;
  #isOver = false;

  constructor(options: SpliceOptions) {
    this.grant = options.grant;
    this.#options = options;
    this.#client = new Side(options.client.stream);
    this.#app = new Side(options.app.stream);
  }

  start(): void {
    const { app, client } = this.#options;
    this.#carry(this.#client, this.#app, client.early, "client-cut");
    this.#carry(this.#app, this.#client, app.early, "app-cut");
  }

  /** Ends it, within half a second: by a close frame where one can be placed, else by a cut. */
  close(status: number, reason: string, code: string): void {
    if (this.#isOver || this.#code !== undefined) return;
    this.#code = code;
    const toClient = this.#client.sayClose(closeFrame(status, reason, false));
    this.#app.sayClose(closeFrame(status, reason, true));
    if (!toClient) {
      this.#end("proxy-cut");
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end("proxy-cut"), CLOSING_MS);
  }

  destroy(): void {
    this.#code ??= "ShuttingDown";
    this.#end("proxy-cut");
  }

  #carry(from: Side, to: Side, early: Buffer, cut: "client-cut" | "app-cut"): void {
    from.stream.on("data", (bytes: Buffer) => {
      // Once a close frame of ours is out, no frame may follow it.
      if (this.#code === undefined && !to.send(bytes)) from.stream.pause();
    });
    to.stream.on("drain", () => from.stream.resume());
    from.stream.on("end", () => {
      to.stream.end();
      if (this.#client.stream.readableEnded && this.#app.stream.readableEnded) this.#finishWrites();
      else this.#timer ??= setTimeout(() => this.#end(cut), HALF_CLOSED_MS);
    });
    from.stream.on("error", () => this.#end(cut));
    from.stream.on("close", () => this.#end(cut));
    if (early.length > 0) to.send(early);
    if (from.stream.destroyed) this.#end(cut);
    else from.stream.resume();
  }

  /** Both have said all: what is on its way still gets there. */
  #finishWrites(): void {
    let unfinished = 2;
    for (const { stream } of [this.#client, this.#app]) {
      stream.end(() => {
        unfinished -= 1;
        if (unfinished === 0) this.#end("complete");
      });
    }
  }

  #end(outcome: ExchangeEnd["outcome"]): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    const said = this.#code ?? (outcome === "complete" ? undefined : "");
    // A client that was told is closed; one that was not must not take what it has for all.
    if (said === "") this.#options.client.transport?.resetAndDestroy();
    this.#client.stream.destroy();
    this.#app.stream.destroy();
    this.#options.onOver({
      outcome,
      inBytes: this.#app.sentBytes,
      outBytes: this.#client.sentBytes,
      ...(this.#code === undefined ? {} : { code: this.#code }),
    });
  }
}

/** One end, and where in the frames that it gets we are. */
class Side {
  readonly stream: Duplex;
  readonly #boundary = new FrameBoundary();
  sentBytes = 0;

  constructor(stream: Duplex) {
    this.stream = stream;
  }

  send(bytes: Buffer): boolean {
    this.sentBytes += bytes.length;
    this.#boundary.pass(bytes);
    return this.stream.write(bytes);
  }

  /** False: it is in the midst of a frame, and cannot be told. */
  sayClose(frame: Buffer): boolean {
    if (this.stream.writableEnded || !this.#boundary.isBetween) return false;
    if (this.#boundary.hasClosed) this.stream.end();
    else this.stream.end(frame);
    return true;
  }
}
