// A gateway for tests: one raw connection, its frames in order, and streams collected with every offset checked.
import { connect, type Socket } from "node:net";
import * as wire from "./wire.ts";

const DEADLINE_MS = 15_000;

export interface Exit {
  readonly kind: "exited" | "signalled";
  readonly value: number;
}

/** A connection to init. Frames that nobody asked for wait in order of their coming. */
export class Peer implements AsyncDisposable {
  readonly socket: Socket;
  readonly frames: wire.Frame[] = [];
  /** Resolves when init has closed the connection. */
  readonly closed: Promise<void>;
  isClosed = false;
  #received: Buffer = Buffer.alloc(0);
  readonly #waiting = new Set<() => void>();

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", () => undefined); // a reset shows as the close that follows
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.isClosed = true;
        this.#wake();
        resolve();
      });
    });
  }

  static async open(port: number): Promise<Peer> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const peer = new Peer(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return peer;
  }

  /** A connection that has said HELLO. */
  static async greet(port: number, secret: Buffer): Promise<{ peer: Peer; records: wire.ProcessRecord[] }> {
    const peer = await Peer.open(port);
    peer.send(wire.hello(secret));
    const welcome = await peer.take(wire.WELCOME);
    const records: wire.ProcessRecord[] = [];
    while (records.length < welcome.readUInt16BE(7)) records.push(wire.readProcess(await peer.take(wire.PROCESS)));
    return { peer, records };
  }

  send(...frames: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** Payload of the first waiting or coming frame of a type that fits. */
  async take(type: number, fits: (payload: Buffer) => boolean = () => true): Promise<Buffer> {
    const deadline = Date.now() + DEADLINE_MS;
    for (;;) {
      const index = this.frames.findIndex((one) => one.type === type && fits(one.payload));
      const [found] = index < 0 ? [] : this.frames.splice(index, 1);
      if (found !== undefined) return found.payload;
      const seen = this.frames
        .map((one) => one.type.toString(16))
        .slice(0, 20)
        .join(" ");
      if (this.isClosed) throw new Error(`closed while waiting for ${type.toString(16)}; waiting: ${seen}`);
      await this.#change(deadline - Date.now(), `no frame ${type.toString(16)}; waiting: ${seen}`);
    }
  }

  /** Resolves when the connection is closed. */
  async untilClosed(): Promise<void> {
    const deadline = Date.now() + DEADLINE_MS;
    while (!this.isClosed) await this.#change(deadline - Date.now(), "init kept the connection");
  }

  async pong(nonce = 7): Promise<void> {
    this.send(wire.ping(nonce));
    await this.take(wire.PONG, (payload) => payload.readBigUInt64BE(0) === BigInt(nonce));
  }

  /** STARTs a process and gives its handle. */
  async start(options: wire.StartOptions): Promise<{ handle: number; pid: number }> {
    this.send(wire.start(options));
    const payload = await this.take(wire.STARTED, (one) => idOf(one) === options.id);
    const at = 1 + payload.readUInt8(0);
    return { handle: payload.readUInt32BE(at), pid: payload.readUInt32BE(at + 4) };
  }

  /** Errno and stage of a START that fails. */
  async startFails(options: wire.StartOptions): Promise<{ stage: number; errno: number }> {
    this.send(wire.start(options));
    const payload = await this.take(wire.START_FAILED, (one) => idOf(one) === options.id);
    const at = 1 + payload.readUInt8(0);
    return { stage: payload.readUInt8(at), errno: payload.readUInt32BE(at + 1) };
  }

  async exit(handle: number): Promise<Exit> {
    const payload = await this.take(wire.EXIT, (one) => one.readUInt32BE(0) === handle);
    return { kind: payload.readUInt8(4) === 0 ? "exited" : "signalled", value: payload.readUInt8(5) };
  }

  async accepted(handle: number, offset: number): Promise<{ offset: number; closed: boolean }> {
    for (;;) {
      const payload = await this.take(wire.INPUT_ACCEPTED, (one) => one.readUInt32BE(0) === handle);
      const told = { offset: Number(payload.readBigUInt64BE(4)), closed: payload.readUInt8(12) === 1 };
      if (told.offset >= offset || told.closed) return told;
    }
  }

  /** Reads a stream from an offset until `isEnough`, or its end. Acknowledges all of it, if asked to. */
  async read(handle: number, fd: number, options: ReadOptions = {}): Promise<Buffer> {
    const { from = 0, acknowledge = true, isEnough = () => false, isResumed = false } = options;
    if (!isResumed) this.send(wire.resume(handle, fd, from));
    const chunks: Buffer[] = [];
    let at = from;
    for (;;) {
      const payload = await this.#takeOutput(handle, fd);
      if (payload.offset !== at) throw new Error(`offset ${payload.offset} where ${at} follows`);
      if (payload.bytes.length === 0) return Buffer.concat(chunks);
      chunks.push(payload.bytes);
      at += payload.bytes.length;
      if (acknowledge) this.send(wire.ack(handle, fd, at));
      if (isEnough(at, chunks)) return Buffer.concat(chunks);
    }
  }

  /** All of stdout, as text. */
  async text(handle: number, fd = 1): Promise<string> {
    return (await this.read(handle, fd)).toString("latin1");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }

  async #takeOutput(handle: number, fd: number): Promise<wire.Output> {
    const deadline = Date.now() + DEADLINE_MS;
    for (;;) {
      const index = this.frames.findIndex(
        ({ type, payload }) =>
          (type === wire.OUTPUT || type === wire.OUTPUT_END) &&
          payload.readUInt32BE(0) === handle &&
          payload.readUInt8(4) === fd,
      );
      const [found] = index < 0 ? [] : this.frames.splice(index, 1);
      if (found !== undefined) {
        const output = wire.readOutput(found.payload);
        if ((found.type === wire.OUTPUT_END) !== (output.bytes.length === 0)) throw new Error("an empty OUTPUT");
        return output;
      }
      if (this.isClosed) throw new Error("closed while reading output");
      await this.#change(deadline - Date.now(), "no output");
    }
  }

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 5) {
      const length = this.#received.readUInt32BE(0);
      if (this.#received.length < 5 + length) break;
      this.frames.push({ type: this.#received.readUInt8(4), payload: this.#received.subarray(5, 5 + length) });
      this.#received = this.#received.subarray(5 + length);
    }
    this.#wake();
  }

  async #change(timeoutMs: number, problem: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new Error(problem)), timeoutMs);
    this.#waiting.add(resolve);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(resolve);
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
  }
}

export interface ReadOptions {
  readonly from?: number;
  readonly acknowledge?: boolean;
  /** The stream is open already. */
  readonly isResumed?: boolean;
  readonly isEnough?: (at: number, chunks: readonly Buffer[]) => boolean;
}

function idOf(payload: Buffer): string {
  return payload.toString("latin1", 1, 1 + payload.readUInt8(0));
}
