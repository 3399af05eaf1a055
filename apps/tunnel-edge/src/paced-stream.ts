// A stream over another one that lets bytes through at a pace, each way.
import { Duplex } from "node:stream";
import type { Pace } from "./paces.ts";

export interface TwoPaces {
  readonly fromClient: Pace;
  readonly toClient: Pace;
}

/** Destroying one of the two destroys the other. */
export class PacedStream extends Duplex {
  readonly #client: Duplex;
  readonly #paces: TwoPaces;
  #reading: NodeJS.Timeout | undefined;
  #writing: NodeJS.Timeout | undefined;
  #hasEnded = false;

  constructor(client: Duplex, paces: TwoPaces) {
    super({ allowHalfOpen: true });
    this.#client = client;
    this.#paces = paces;
    client.on("data", (chunk: Buffer) => this.#take(chunk));
    client.once("end", () => {
      this.#hasEnded = true; // a socket tells of its end even while it is paused
      if (this.#reading === undefined) this.push(null);
    });
    client.once("error", (error) => this.destroy(error));
    client.once("close", () => this.destroy());
  }

  override _read(): void {
    if (this.#reading === undefined) this.#client.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    const write = () => this.#client.write(chunk, done);
    const waitMs = this.#paces.toClient.take(chunk.length);
    if (waitMs === 0) write();
    else this.#writing = setTimeout(write, waitMs);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#client.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#reading);
    clearTimeout(this.#writing);
    this.#client.destroy();
    done(error);
  }

  #take(chunk: Buffer): void {
    const waitMs = this.#paces.fromClient.take(chunk.length);
    if (waitMs === 0) {
      if (!this.push(chunk)) this.#client.pause();
      return;
    }
    this.#client.pause();
    this.#reading = setTimeout(() => {
      this.#reading = undefined;
      if (this.push(chunk)) this.#client.resume();
      if (this.#hasEnded) this.push(null);
    }, waitMs);
  }
}
