// Both ends of a relay as raw bytes: a client that sends whatever frames it likes, and a server that answers the same way.
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import type { HeaderField } from "@sallyport/dataplane/http2";
import {
  encodeHeaders,
  FLAG,
  FRAME,
  FRAME_HEAD_BYTES,
  FrameReader,
  HpackDecoder,
  headersFrames,
  newFrame,
  PREFACE,
  settingsFrame,
} from "@sallyport/dataplane/http2";
import type { Place } from "./h2-place.ts";
import { HOST } from "./h2-place.ts";

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export function raw(type: number, flags: number, streamId: number, payload: Uint8Array | string = ""): Buffer {
  const bytes = Buffer.from(payload as string);
  const frame = newFrame(type, flags, streamId, bytes.length);
  frame.set(bytes, FRAME_HEAD_BYTES);
  return frame;
}

export const SETTINGS_ACK: Buffer = raw(FRAME.settings, FLAG.ack, 0);

/** One end: frames that came are kept until somebody asks for them. */
export class Peer {
  readonly socket: Duplex;
  readonly frames: Frame[] = [];
  isOver = false;
  readonly #decoder = new HpackDecoder({ maxTableBytes: 4_096, maxListBytes: 1_000_000 });
  #wake: () => void = () => undefined;

  constructor(socket: Duplex, afterPreface = false) {
    this.socket = socket;
    const onFrame = (type: number, flags: number, streamId: number, frame: Buffer) => {
      this.frames.push({ type, flags, streamId, payload: Buffer.from(frame.subarray(FRAME_HEAD_BYTES)) });
    };
    const reader = new FrameReader({ onFrame }, 16_384);
    let skip = afterPreface ? PREFACE.length : 0;
    socket.on("data", (piece: Buffer) => {
      const skipped = Math.min(skip, piece.length);
      skip -= skipped;
      reader.push(piece.subarray(skipped));
      this.#wake();
    });
    const over = () => {
      this.isOver = true;
      this.#wake();
    };
    for (const event of ["end", "close", "error"]) socket.on(event, over);
  }

  send(...frames: readonly Buffer[]): this {
    if (this.socket.writable) this.socket.write(Buffer.concat(frames));
    return this;
  }

  /** The next frame that this is true of; those before it are gone. Undefined: the connection is over without it. */
  async find(isIt: (frame: Frame) => boolean): Promise<Frame | undefined> {
    for (;;) {
      for (let frame = this.frames.shift(); frame !== undefined; frame = this.frames.shift())
        if (isIt(frame)) return frame;
      if (this.isOver) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async next(type: number, streamId = 0): Promise<Frame | undefined> {
    return await this.find((frame) => frame.type === type && frame.streamId === streamId);
  }

  /** The code of GOAWAY, or of a stream's reset. */
  async code(type: number, streamId = 0): Promise<number | undefined> {
    const frame = await this.next(type, streamId);
    return frame?.payload.readUInt32BE(type === FRAME.goaway ? 4 : 0);
  }

  /** Fields of a HEADERS frame; each is to be decoded, in the order of their coming. */
  decode(frame: Frame | undefined): Record<string, string> {
    const { fields } = this.#decoder.decode(frame?.payload ?? Buffer.alloc(0));
    return Object.fromEntries(fields.map(({ name, value }) => [name, value]));
  }
}

export function requestFields(more: Readonly<Record<string, string | undefined>> = {}): HeaderField[] {
  const fields = { ":method": "GET", ":scheme": "https", ":authority": HOST, ":path": "/", ...more };
  return Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [{ name, value, sensitive: false }],
  );
}

export function request(streamId: number, more?: Readonly<Record<string, string | undefined>>, isWhole = true): Buffer {
  return headersFrames(streamId, encodeHeaders(requestFields(more)), isWhole, 16_384);
}

export function answer(streamId: number, isWhole = true): Buffer {
  return headersFrames(streamId, encodeHeaders([{ name: ":status", value: "200", sensitive: false }]), isWhole, 16_384);
}

/** A client that has said nothing yet. */
export async function rawClient(place: Place, host: string = HOST): Promise<Peer> {
  const socket = connectTls({
    port: place.port,
    host: "127.0.0.1",
    servername: host,
    ca: place.ca,
    ALPNProtocols: ["h2"],
  });
  const peer = new Peer(socket);
  await once(socket, "secureConnect");
  return peer;
}

/** One that has said its preface and settings. */
export async function startedClient(place: Place, settings: Buffer = settingsFrame([])): Promise<Peer> {
  const peer = await rawClient(place);
  return peer.send(PREFACE, settings);
}

/** A client and a server that have said and acknowledged their settings. */
export async function settledEnds(place: Place, server: RawServer): Promise<{ client: Peer; sandbox: Peer }> {
  const client = await startedClient(place);
  const sandbox = await server.accept();
  // The relay's own settings, then the sandbox's; each is acknowledged, as ours are.
  for (const _one of ["relay", "sandbox"]) await client.next(FRAME.settings);
  await client.next(FRAME.settings);
  client.send(SETTINGS_ACK, SETTINGS_ACK);
  await sandbox.next(FRAME.settings);
  return { client, sandbox };
}

/** A server whose connections are answered by hand. */
export interface RawServer extends AsyncDisposable {
  readonly port: number;
  /** The next connection; `speaks`: it has said its settings and taken the client's. */
  accept(speaks?: boolean): Promise<Peer>;
}

export async function rawServer(): Promise<RawServer> {
  const waiting: Socket[] = [];
  const takers: ((socket: Socket) => void)[] = [];
  const all: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    all.push(socket);
    socket.on("error", () => undefined);
    const taker = takers.shift();
    if (taker === undefined) waiting.push(socket);
    else taker(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async accept(speaks = true) {
      const socket = waiting.shift() ?? (await new Promise<Socket>((resolve) => takers.push(resolve)));
      const peer = new Peer(socket, true);
      if (!speaks) return peer;
      await peer.next(FRAME.settings);
      return peer.send(settingsFrame([]), SETTINGS_ACK);
    },
    async [Symbol.asyncDispose]() {
      for (const socket of all) socket.destroy();
      server.close();
    },
  };
}
