// Reading one file of a sandbox: opened, then followed to its end through broken connections, without loss or repetition.
import type { FileInfo, ReadFileResponse } from "@sallyport/contracts";
import { callServerStream } from "@sallyport/contracts/grpc";
import { sdkError } from "./errors.ts";
import type { SandboxIo } from "./sandbox-io.ts";
import type { Scope } from "./scope.ts";

export class FileReader {
  readonly #path: string;
  readonly #events: AsyncGenerator<ReadFileResponse, void>;
  #info: FileInfo | undefined;
  #first: Uint8Array | undefined;
  #offset = 0;
  #ended = false;

  private constructor(io: SandboxIo, scope: Scope, path: string) {
    this.#path = path;
    this.#events = io.stream(
      scope,
      (stub, options) =>
        callServerStream(stub, stub.readFile, { path, offset: this.#offset, length: undefined }, options),
      () => this.#ended,
    );
  }

  /** Rejects when there is no such file. */
  static async open(io: SandboxIo, scope: Scope, path: string): Promise<FileReader> {
    const reader = new FileReader(io, scope, path);
    while (reader.#info === undefined && !reader.#ended) reader.#first = await reader.#next();
    return reader;
  }

  /** Its bytes. Leaving the loop ends the reading. */
  async *chunks(): AsyncGenerator<Uint8Array, void> {
    try {
      if (this.#first !== undefined) yield this.#first;
      this.#first = undefined;
      while (!this.#ended) {
        const chunk = await this.#next();
        if (chunk !== undefined) yield chunk;
      }
    } finally {
      await this.#events.return();
    }
  }

  async #next(): Promise<Uint8Array | undefined> {
    const { done, value } = await this.#events.next();
    const event = done === true ? undefined : value.event;
    if (done === true) this.#ended = true;
    switch (event?.$case) {
      case "info":
        this.#meet(event.value);
        return undefined;
      case "data": {
        const data = event.value;
        this.#offset += data.length;
        return new Uint8Array(data.buffer, data.byteOffset, data.length);
      }
      case "end":
        this.#ended = true;
        return undefined;
      case undefined:
        return undefined;
    }
  }

  /** What is read on after a break must be what was read before. */
  #meet(info: FileInfo): void {
    const before = this.#info;
    this.#info = info;
    if (before === undefined || this.#offset === 0) return;
    if (before.size === info.size && before.modifiedAt?.getTime() === info.modifiedAt?.getTime()) return;
    throw sdkError("FailedPrecondition", `path: ${this.#path} was changed while it was read`, {
      field: "path",
      hint: "read it again",
    });
  }
}
