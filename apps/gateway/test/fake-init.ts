// A scripted init: speaks the protocol as far as the script says, then does what no honest init does.
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import { encodeFrame, FROM_INIT, FrameReader, MAX_START_BYTES, TO_INIT } from "../src/init/frames.ts";

export const SECRET: Buffer = Buffer.alloc(32, 7);

/** One connection of the gateway, as an init sees it. */
export class GatewayConnection {
  readonly socket: Socket;
  readonly #frames: { type: number; payload: Buffer }[] = [];
  readonly #waiting: (() => void)[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => socket.destroy());
    const sizes = new Map(Object.values(TO_INIT).map((type) => [type as number, [0, sizeOf(type)] as const]));
    const reader = new FrameReader(sizes);
    socket.on("data", (chunk) => {
      reader.push(chunk, (type, payload) => this.#frames.push({ type, payload: Buffer.from(payload) }));
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  /** The next frame of this type; others before it are dropped. */
  async expect(type: number): Promise<Buffer> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame?.type === type) return frame.payload;
      if (frame === undefined) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  send(...frames: Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** HELLO and WELCOME, with no process. */
  async greet(): Promise<void> {
    await this.expect(TO_INIT.hello);
    this.send(welcome());
  }

  /** One START, answered; both outputs are asked for from 0. Gives its exec id. */
  async startOne(handle = 1): Promise<string> {
    const payload = await this.expect(TO_INIT.start);
    const execId = payload.toString("latin1", 1, 1 + payload.readUInt8(0));
    this.send(started(execId, handle));
    await this.expect(TO_INIT.resume);
    await this.expect(TO_INIT.resume);
    return execId;
  }
}

function sizeOf(type: number): number {
  return type === TO_INIT.start ? MAX_START_BYTES : 64 * 1024;
}

/** An init whose every connection runs the script. */
export async function startFakeInit(script: (connection: GatewayConnection) => Promise<void> | void) {
  const sockets = new Set<Socket>();
  const problems: unknown[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    const run = async () => await script(new GatewayConnection(socket));
    run().catch((error: unknown) => problems.push(error));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    secret: SECRET,
    /** What went wrong in the script itself. */
    problems,
    connections: () => sockets.size,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function u(bits: 8 | 16 | 32 | 64, value: number): Buffer {
  const bytes = Buffer.alloc(bits / 8);
  if (bits === 64) bytes.writeBigUInt64BE(BigInt(value));
  else bytes.writeUIntBE(value, 0, bits / 8);
  return bytes;
}

function id(text: string): Buffer {
  return Buffer.concat([u(8, text.length), Buffer.from(text)]);
}

export function welcome(records = 0, ringBytes = 262_144): Buffer {
  return encodeFrame(FROM_INIT.welcome, [u(8, 1), u(32, ringBytes), u(16, 512), u(16, records)]);
}

export function processRecord(execId: string, handle: number, range: { start: number; end: number }): Buffer {
  const ranges = [u(64, range.start), u(64, range.end), u(64, 0), u(64, 0)];
  return encodeFrame(FROM_INIT.process, [u(32, handle), id(execId), u(8, 0), ...ranges, u(64, 0)]);
}

export function started(execId: string, handle: number): Buffer {
  return encodeFrame(FROM_INIT.started, [id(execId), u(32, handle), u(32, 100)]);
}

export function output(handle: number, offset: number, data: Buffer, fd = 1): Buffer {
  return encodeFrame(FROM_INIT.output, [u(32, handle), u(8, fd), u(64, offset), data]);
}

export function outputEnd(handle: number, offset: number, fd = 1): Buffer {
  return encodeFrame(FROM_INIT.outputEnd, [u(32, handle), u(8, fd), u(64, offset)]);
}

export function exit(handle: number, value: number, kind = 0): Buffer {
  return encodeFrame(FROM_INIT.exit, [u(32, handle), u(8, kind), u(8, value)]);
}

export function inputAccepted(handle: number, offset: number, closed = 0): Buffer {
  return encodeFrame(FROM_INIT.inputAccepted, [u(32, handle), u(64, offset), u(8, closed)]);
}

export function pong(nonce: number): Buffer {
  return encodeFrame(FROM_INIT.pong, [u(64, nonce)]);
}
