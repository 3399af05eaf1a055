// Relays HTTP/2 between a client and a sandbox, frame by frame: one connection of the client is one connection to the sandbox.
// Frames pass as they are but for what a sandbox must not be asked, and must not say (docs/decisions/0014).
//
//   relaying ──(either side breaks, ends, or is at fault)──▶ ending (last bytes go out) ──▶ over (both sockets destroyed)
import type { Duplex } from "node:stream";
import type { ErrorName } from "@sallyport/dataplane/http2";
import {
  ClientPreface,
  DEFAULT_MAX_FRAME_BYTES,
  FrameReader,
  GracefulEnd,
  goawayFrame,
  Http2Error,
} from "@sallyport/dataplane/http2";
import { ClientFault, Http2Rates } from "@sallyport/edge";
import { ClientFrames } from "./client-frames.ts";
import { FrameOutput } from "./frame-output.ts";
import type { Http2Limits } from "./limits.ts";
import { DEFAULT_HTTP2_LIMITS } from "./limits.ts";
import { Pings } from "./pings.ts";
import type { Http2RelayEnd, Http2RelayOptions, Http2RelayResult } from "./relay-result.ts";
import { SandboxFrames } from "./sandbox-frames.ts";
import { SettingsExchange } from "./settings-exchange.ts";
import type { Shared } from "./shared.ts";
import { Streams } from "./streams.ts";

/** Begins to relay. Both sockets are its own from here on, and destroyed when {@link Http2Relay.done} resolves. */
export function relayHttp2(client: Duplex, sandbox: Duplex, options: Http2RelayOptions): Http2Relay {
  return new Http2Relay(client, sandbox, options);
}

export class Http2Relay {
  readonly #client: Duplex;
  readonly #sandbox: Duplex;
  readonly #limits: Http2Limits;
  readonly #now: () => number;
  readonly #shared: Shared;
  readonly #drain: GracefulEnd;
  readonly #preface = new ClientPreface();
  readonly #clientFrames: ClientFrames;
  readonly #sandboxFrames: SandboxFrames;
  readonly #clientReader: FrameReader;
  readonly #sandboxReader: FrameReader;
  readonly #done = Promise.withResolvers<Http2RelayResult>();
  readonly #handshakeTimer: NodeJS.Timeout;
  readonly #idleTimer: NodeJS.Timeout | undefined;
  #lingerTimer: NodeJS.Timeout | undefined;
  #end: Http2RelayEnd | undefined;
  #problem: string | undefined;
  #hasClientEnded = false;
  #clientBytes = 0;
  #sandboxBytes = 0;
  #lastByteMs: number;

  constructor(client: Duplex, sandbox: Duplex, options: Http2RelayOptions) {
    this.#client = client;
    this.#sandbox = sandbox;
    this.#limits = options.limits ?? DEFAULT_HTTP2_LIMITS;
    this.#now = options.now ?? (() => performance.now());
    this.#lastByteMs = this.#now();
    const streams = new Streams(this.#limits.closedStreamsKept);
    const toClient = new FrameOutput(client);
    this.#drain = new GracefulEnd(streams, (frame) => toClient.add(frame));
    this.#shared = {
      place: options,
      limits: this.#limits,
      streams,
      settings: new SettingsExchange(this.#limits),
      pings: new Pings(),
      rates: new Http2Rates(this.#limits, this.#now),
      toClient,
      toSandbox: new FrameOutput(sandbox),
      drain: this.#drain,
    };
    this.#clientFrames = new ClientFrames(this.#shared);
    this.#sandboxFrames = new SandboxFrames(this.#shared);
    this.#clientReader = new FrameReader(this.#clientFrames, DEFAULT_MAX_FRAME_BYTES);
    this.#sandboxReader = new FrameReader(this.#sandboxFrames, DEFAULT_MAX_FRAME_BYTES);
    this.#handshakeTimer = setTimeout(() => this.#onHandshakeDeadline(), this.#limits.handshakeMs);
    this.#idleTimer = this.#watchIdle(options.idleMs);
    toClient.add(this.#shared.settings.own());
    this.#flush();
    this.#listen();
  }

  /** Resolves when both sockets are destroyed. Never rejects. */
  get done(): Promise<Http2RelayResult> {
    return this.#done.promise;
  }

  /** Ends in good order: streams that are open come to their end. How long that may take is the caller's to say. */
  drain(): void {
    if (this.#end !== undefined) return;
    this.#drain.start();
    this.#flush();
  }

  /** Ends at once. */
  destroy(): void {
    this.#finish("destroyed");
  }

  #listen(): void {
    const client = this.#client;
    const sandbox = this.#sandbox;
    client.on("data", (piece: Buffer) => this.#take("client", piece));
    sandbox.on("data", (piece: Buffer) => this.#take("sandbox", piece));
    client.on("drain", () => sandbox.resume());
    sandbox.on("drain", () => client.resume());
    client.once("end", () => this.#onClientEnd());
    sandbox.once("end", () => this.#endInOrder("ended", this.#shared.streams.openCount > 0));
    // Whoever ended before it closes has ended; a broken one has nobody left to tell.
    for (const event of ["error", "close"]) {
      client.on(event, () => this.#finish(this.#hasClientEnded ? "ended" : "broken"));
      sandbox.on(event, () => this.#onSandboxBroken());
    }
    client.resume();
    sandbox.resume();
    if (client.destroyed || sandbox.destroyed) this.#finish("broken");
  }

  #take(from: "client" | "sandbox", piece: Buffer): void {
    // What still comes is read all the same: with bytes unread a socket would end by a reset, and the last words be lost.
    if (this.#end !== undefined) return;
    this.#lastByteMs = this.#now();
    try {
      if (from === "client") this.#onClientBytes(piece);
      else this.#onSandboxBytes(piece);
    } catch (error) {
      this.#onFault(from, error);
      return;
    }
    this.#flush();
    const [source, target] =
      from === "client" ? [this.#client, this.#sandbox] : ([this.#sandbox, this.#client] as const);
    if (target.writableNeedDrain) source.pause();
    if (this.#clientFrames.hasSettings && this.#sandboxFrames.hasSettings) clearTimeout(this.#handshakeTimer);
    if (this.#drain.isOver) this.#endInOrder("drained", false);
    else this.#endBehindClient();
  }

  #onClientBytes(piece: Buffer): void {
    const frames = this.#preface.isWhole ? piece : this.#preface.push(piece);
    const rest = frames.length > 0 ? this.#clientReader.push(frames) : frames;
    this.#clientBytes += piece.length - rest.length;
    if (rest.length > 0) {
      this.#client.pause(); // until the sandbox has read
      this.#client.unshift(rest);
    }
    this.#clientFrames.giveBackWindow();
    if (this.#shared.toClient.waitingBytes > this.#limits.maxWaitingBytes) {
      throw new Http2Error("ENHANCE_YOUR_CALM", "the client does not read what it asks for");
    }
  }

  #onSandboxBytes(piece: Buffer): void {
    this.#sandboxBytes += piece.length;
    this.#sandboxReader.push(piece);
  }

  #flush(): void {
    this.#shared.toSandbox.flush();
    this.#shared.toClient.flush();
  }

  #onFault(from: "client" | "sandbox", error: unknown): void {
    if (!(error instanceof Http2Error)) {
      this.#endWith("broken", "the relay failed", "INTERNAL_ERROR", "INTERNAL_ERROR");
    } else if (from === "client" || error instanceof ClientFault) {
      this.#endWith("client-error", error.message, error.code, "NO_ERROR");
    } else {
      this.#endWith("sandbox-error", error.message, "INTERNAL_ERROR", error.code);
    }
  }

  #onClientEnd(): void {
    this.#hasClientEnded = true;
    if (this.#end === undefined) this.#sandbox.end();
    this.#endBehindClient();
  }

  /** A client that has ended its half waits for the answers that it asked for, and for nothing else. */
  #endBehindClient(): void {
    if (this.#hasClientEnded && this.#shared.streams.openCount === 0) this.#endInOrder("ended", false);
  }

  #onSandboxBroken(): void {
    if (this.#end === undefined) {
      this.#endWith("broken", "the connection to the sandbox broke", "INTERNAL_ERROR", "NO_ERROR");
    }
  }

  #onHandshakeDeadline(): void {
    const who = this.#clientFrames.hasSettings ? "what listens in the sandbox" : "the client";
    this.#endWith("handshake-timeout", `${who} does not say its settings`, "SETTINGS_TIMEOUT", "SETTINGS_TIMEOUT");
  }

  /** Tells both sides why; nothing of theirs is waited for. */
  #endWith(end: Http2RelayEnd, problem: string, toClient: ErrorName, toSandbox: ErrorName): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#problem = problem;
    this.#shared.toClient.add(goawayFrame(this.#shared.streams.lastId, toClient, problem));
    if (this.#clientFrames.hasSettings) this.#shared.toSandbox.add(goawayFrame(0, toSandbox, problem));
    this.#lastWords();
    this.#linger();
  }

  /** Lets what is under way to the client reach it. */
  #endInOrder(end: "ended" | "drained", isEarly: boolean): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    if (isEarly) {
      const about = "the sandbox ended the connection";
      this.#shared.toClient.add(goawayFrame(this.#shared.streams.lastId, "INTERNAL_ERROR", about));
    }
    this.#lastWords();
    this.#client.once("finish", () => this.#linger());
  }

  #lastWords(): void {
    clearTimeout(this.#handshakeTimer);
    this.#flush();
    this.#client.end();
    this.#sandbox.end();
    this.#client.resume();
    this.#sandbox.resume();
  }

  #linger(): void {
    this.#lingerTimer ??= setTimeout(() => this.#finish("ended"), this.#limits.lingerMs);
  }

  #watchIdle(idleMs: number | undefined): NodeJS.Timeout | undefined {
    if (idleMs === undefined) return undefined;
    const look = () => {
      if (this.#now() - this.#lastByteMs >= idleMs) this.#finish("idle");
    };
    return setInterval(look, Math.max(10, idleMs / 4));
  }

  /** `end`, unless it is ending for another reason already. */
  #finish(end: Http2RelayEnd): void {
    clearTimeout(this.#handshakeTimer);
    clearTimeout(this.#lingerTimer);
    clearInterval(this.#idleTimer);
    this.#end ??= end;
    this.#client.destroy();
    this.#sandbox.destroy();
    const { rates, streams } = this.#shared;
    this.#done.resolve({
      end: this.#end,
      problem: this.#problem,
      clientBytes: this.#clientBytes,
      sandboxBytes: this.#sandboxBytes,
      streams: streams.openedCount,
      refusedStreams: rates.refused,
    });
  }
}
