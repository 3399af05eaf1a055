// Calls functions of a program of the worker's own tests, in a network namespace: the worker's network as it is, with
// no platform around it. The program answers over Node's IPC.
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** The programs, by name. */
const PROGRAMS = {
  /** A worker's network. */
  worker: "../../apps/worker/test/network/worker-child.ts",
  /** Slots without cables. */
  crowd: "../../apps/worker/test/network/crowd-child.ts",
} as const;

export class PolicyChild implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  /** Started at once; a program that does not start fails its first call. */
  constructor(program: keyof typeof PROGRAMS, namespace: string, options: object) {
    const path = fileURLToPath(new URL(PROGRAMS[program], import.meta.url));
    const words = [`--net=/run/netns/${namespace}`, process.execPath, "--conditions=@sallyport/source"];
    this.#process = spawn("nsenter", [...words, path, JSON.stringify(options)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#process.on("message", (message) => this.#settle(message as Answer));
    const ended = (error: Error) => {
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    };
    this.#process.once("error", ended);
    this.#process.once("exit", () => ended(new Error(`the ${program} program ended`)));
  }

  /** Rejects with what the function throws, or when the program ends. */
  call<T = void>(method: string, ...args: readonly unknown[]): Promise<T> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: (value) => resolve(value as T), reject });
      this.#process.send({ id, method, args }, (error) => {
        if (error !== null) reject(error);
      });
    });
  }

  #settle({ id, result, error }: Answer): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(error.message));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await exited;
  }
}
