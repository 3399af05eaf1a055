// A client made of bytes: says over TLS exactly what the test says, and keeps what comes back.
import { once } from "node:events";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { connect } from "node:tls";
import type { ReadMessage } from "./strict-http.ts";
import { readAnswers, statusOf } from "./strict-http.ts";

/** A proxy and who vouches for it. */
export interface Door {
  readonly port: number;
  /** PEM. */
  readonly ca: string;
}

/** How the server ended a connection. */
export type Ending = "end" | "reset";

/** Of whatever is waited for; a proxy that takes longer hangs. */
const PATIENCE_MS = 20_000;

export class RawClient implements Disposable {
  readonly socket: TLSSocket;
  #received = Buffer.alloc(0);
  #ending: Ending | undefined;
  #waiting = new Set<() => void>();
  #read = 0;

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on("data", (data: Buffer) => {
      this.#received = Buffer.concat([this.#received, data]);
      this.#wake();
    });
    socket.on("error", () => this.#end("reset"));
    socket.on("end", () => this.#end("end"));
    socket.on("close", () => this.#end("reset"));
  }

  /** Connects with the host's name, over a connection of its own or the one given; rejects when the handshake fails. */
  static async connect(
    door: Door,
    servername: string,
    alpn: readonly string[] = ["http/1.1"],
    transport?: Socket,
  ): Promise<RawClient> {
    // Its half may stay open after ours has ended: the answer comes then.
    const options = { allowHalfOpen: true, ca: door.ca, servername, ALPNProtocols: [...alpn] };
    const way = transport === undefined ? { host: "127.0.0.1", port: door.port } : { socket: transport };
    const socket = connect({ ...options, ...way });
    await once(socket, "secureConnect");
    return new RawClient(socket);
  }

  /** Everything that came. */
  get received(): Buffer {
    return this.#received;
  }

  /** How the server ended; undefined while it has not. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** Closes our half; resolves with all that came, when the server has closed, too. */
  async finish(): Promise<Buffer> {
    this.socket.end();
    await this.until(() => this.#ending !== undefined);
    this.socket.destroy();
    return this.#received;
  }

  /** The next final answer to a request of this method. Rejects when none can come any more. */
  async answer(method = "GET"): Promise<ReadMessage> {
    const read = () => readAnswers(this.#received.subarray(this.#read), [method], this.#ending === "end");
    await this.until(() => read().messages.some(isFinal) || read().problem !== undefined || this.#ending !== undefined);
    const { messages } = read();
    const message = messages.find(isFinal);
    if (message === undefined) {
      const text = this.#received.toString("latin1", this.#read, this.#read + 300);
      throw new Error(`no answer (${read().problem ?? this.#ending ?? "?"}): ${JSON.stringify(text)}`);
    }
    for (const { totalBytes } of messages.slice(0, messages.indexOf(message) + 1)) this.#read += totalBytes;
    return message;
  }

  /** Resolves when this holds; asked after each arrival. */
  async until(holds: () => boolean): Promise<void> {
    const patience = AbortSignal.timeout(PATIENCE_MS);
    while (!holds()) {
      if (patience.aborted) throw new Error(`still waiting; so far came ${JSON.stringify(this.#tail())}`);
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
        patience.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #tail(): string {
    return this.#received.toString("latin1", Math.max(0, this.#received.length - 300));
  }

  #end(ending: Ending): void {
    this.#ending ??= ending;
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

function isFinal(message: ReadMessage): boolean {
  const status = statusOf(message);
  return status >= 200 || status === 101;
}

/** Says these bytes on a connection of its own, closes its half, and gives what came until the server closed, too. */
export async function say(door: Door, servername: string, bytes: string | Buffer): Promise<RawClient> {
  const client = await RawClient.connect(door, servername);
  client.send(bytes);
  await client.finish();
  return client;
}

/** The same, a few bytes at a time: what stands at the edge of a piece is read in two turns. */
export async function stammer(door: Door, servername: string, bytes: string, pieceBytes: number): Promise<RawClient> {
  const client = await RawClient.connect(door, servername);
  client.socket.setNoDelay(true);
  for (let at = 0; at < bytes.length && client.ending === undefined; at += pieceBytes) {
    client.send(bytes.slice(at, at + pieceBytes));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await client.finish();
  return client;
}
