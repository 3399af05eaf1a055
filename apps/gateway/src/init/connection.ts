// One connection to one init, from HELLO to its end: handshake within a deadline, then messages one by one. Bytes in
// either direction are bounded; whatever breaks the protocol ends the connection with InitProtocolError.
import { once } from "node:events";
import type { Socket } from "node:net";
import { INIT_HANDSHAKE_MS, MAX_IDLE_FRAMES_PER_SECOND, MAX_UNSENT_BYTES } from "../limits.ts";
import { InitProtocolError } from "./errors.ts";
import { FrameReader } from "./frames.ts";
import type { InitMessage, ProcessMessage } from "./messages.ts";
import { decodeMessage, encodeHello, encodePing } from "./messages.ts";

/** What init said of itself at the start of a connection. */
export interface Welcome {
  readonly ringBytes: number;
  readonly maxProcesses: number;
  readonly processes: readonly ProcessMessage[];
}

/** The connection ended, by either side; another one may do better. */
class InitConnectionLost extends Error {
  readonly code = "InitConnectionLost";

  constructor(message: string) {
    super(message);
    this.name = "InitConnectionLost";
  }
}

/**
 * A connection whose init knows the secret. It is paused until {@link InitConnection.run}.
 * Made by {@link meetInit}.
 */
export class InitConnection {
  readonly welcome: Welcome;
  readonly #socket: Socket;
  readonly #frames: FrameReader;
  readonly #early: InitMessage[];
  readonly #pings = new Map<bigint, PromiseWithResolvers<void>>();
  #nextNonce = 1n;
  #idleFrames = 0;
  #idleSinceMs = 0;
  #reading = true;
  #listening = true;
  #running = false;
  #lost: Error | undefined;

  constructor(socket: Socket, frames: FrameReader, welcome: Welcome, early: InitMessage[]) {
    this.#socket = socket;
    this.#frames = frames;
    this.welcome = welcome;
    this.#early = early;
  }

  get lost(): boolean {
    return this.#lost !== undefined;
  }

  /** Hands every message to `take`, in order. Rejects when the connection ends: InitProtocolError or InitConnectionLost. */
  async run(take: (message: InitMessage) => void): Promise<never> {
    const ended = Promise.withResolvers<never>();
    const receive = (message: InitMessage) => {
      if (message.type === "pong") this.#answerPing(message.nonce);
      else take(message);
    };
    const onData = (chunk: Buffer) => {
      try {
        this.#frames.push(chunk, (type, payload) => receive(decodeMessage(type, payload)));
      } catch (error) {
        ended.reject(error);
        this.#socket.destroy();
      }
    };
    try {
      for (const message of this.#early.splice(0)) receive(message);
      if (this.#socket.destroyed) throw new InitConnectionLost("the connection is closed");
      this.#socket.on("data", onData);
      this.#socket.once("close", () => ended.reject(new InitConnectionLost("init closed the connection")));
      this.#running = true;
      this.#applyFlow();
      return await ended.promise;
    } finally {
      this.close();
    }
  }

  /** Sends frames. An init that does not read loses its connection, never our memory. */
  send(frame: Buffer): void {
    if (this.#lost !== undefined) return;
    if (this.#socket.writableLength + frame.length > MAX_UNSENT_BYTES) {
      this.close();
      return;
    }
    this.#socket.write(frame);
  }

  /** Resolves when init has taken everything that was sent before. Rejects when the connection ends first. */
  async roundTrip(signal: AbortSignal): Promise<void> {
    if (this.#lost !== undefined) throw this.#lost;
    signal.throwIfAborted();
    const nonce = this.#nextNonce++;
    const pong = Promise.withResolvers<void>();
    const onAbort = () => pong.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#pings.set(nonce, pong);
    try {
      this.send(encodePing(nonce));
      await pong.promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Counts a frame that said nothing new. Throws when too many come in a second: an honest init repeats little. */
  countIdleFrame(): void {
    const now = performance.now();
    if (now - this.#idleSinceMs > 1_000) {
      this.#idleSinceMs = now;
      this.#idleFrames = 0;
    }
    this.#idleFrames += 1;
    if (this.#idleFrames > MAX_IDLE_FRAMES_PER_SECOND)
      throw new InitProtocolError("a flood of frames that say nothing new");
  }

  /** Stops and starts reading: for a disk that cannot follow. */
  setReading(reading: boolean): void {
    this.#reading = reading;
    this.#applyFlow();
  }

  /** The same, for an init that should be frozen. Whichever of the two is stopped, nothing is read. */
  setListening(listening: boolean): void {
    this.#listening = listening;
    this.#applyFlow();
  }

  /** Ends the connection now. */
  close(): void {
    if (this.#lost === undefined) {
      this.#lost = new InitConnectionLost("the connection to init ended");
      for (const pong of this.#pings.values()) pong.reject(this.#lost);
      this.#pings.clear();
    }
    this.#socket.destroy();
  }

  #applyFlow(): void {
    if (!this.#running) return;
    if (this.#reading && this.#listening) this.#socket.resume();
    else this.#socket.pause();
  }

  #answerPing(nonce: bigint): void {
    const pong = this.#pings.get(nonce);
    if (pong === undefined) throw new InitProtocolError("an answer to a ping that was never sent");
    this.#pings.delete(nonce);
    pong.resolve();
  }
}

/**
 * Greets the init at the other end of a fresh socket. Rejects with InitProtocolError when what answers is no init of
 * ours, with InitConnectionLost when it closes (an unknown secret, a newer connection) or stays silent for 5 s.
 */
export async function meetInit(socket: Socket, secret: Uint8Array, signal: AbortSignal): Promise<InitConnection> {
  const frames = new FrameReader();
  const messages: InitMessage[] = [];
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(INIT_HANDSHAKE_MS)]);
  socket.on("error", ignoreBecauseCloseFollows);
  // Dialled with half-open allowed, as all connections into sandboxes are: here one half is of no use.
  socket.once("end", () => socket.destroy());
  try {
    socket.write(encodeHello(secret));
    let missing = 1;
    let welcome: Extract<InitMessage, { type: "welcome" }> | undefined;
    const processes: ProcessMessage[] = [];
    while (missing > 0) {
      const chunk = await nextChunk(socket, deadline);
      frames.push(chunk, (type, payload) => messages.push(decodeMessage(type, payload)));
      while (missing > 0 && messages.length > 0) {
        const message = messages.shift();
        if (welcome === undefined) {
          if (message?.type !== "welcome") throw new InitProtocolError("no WELCOME at the start");
          welcome = message;
          missing = message.records;
        } else {
          if (message?.type !== "process") throw new InitProtocolError("fewer PROCESS records than promised");
          processes.push(message);
          missing -= 1;
        }
      }
    }
    if (welcome === undefined) throw new InitProtocolError("no WELCOME");
    const { ringBytes, maxProcesses } = welcome;
    return new InitConnection(socket, frames, { ringBytes, maxProcesses, processes }, messages);
  } catch (error) {
    socket.destroy();
    signal.throwIfAborted();
    if (error instanceof InitProtocolError || error instanceof InitConnectionLost) throw error;
    throw new InitConnectionLost("init did not answer the greeting in time");
  }
}

/** The next bytes, with the socket paused again behind them. */
async function nextChunk(socket: Socket, signal: AbortSignal): Promise<Buffer> {
  const settled = new AbortController();
  const either = AbortSignal.any([signal, settled.signal]);
  try {
    const data = once(socket, "data", { signal: either }).then(([chunk]: Buffer[]) => {
      socket.pause();
      return chunk;
    });
    const closed = once(socket, "close", { signal: either }).then(() => undefined);
    socket.resume();
    const chunk = await Promise.race([data, closed]);
    if (chunk === undefined) throw new InitConnectionLost("init closed the connection");
    return chunk;
  } finally {
    settled.abort();
  }
}

function ignoreBecauseCloseFollows(): void {
  // "close" comes right after "error", and is what ends the connection.
}
