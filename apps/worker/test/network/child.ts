// Runs one of the test programs of this folder in a network namespace, and calls its functions over Node's IPC.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string; readonly code: string | undefined };
}

/** A failure on the other side, with its code. */
export class RemoteError extends Error {
  readonly code: string | undefined;

  constructor(message: string, code: string | undefined) {
    super(message);
    this.code = code;
  }
}

export class Child implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #lastId = 0;

  /** `through`: programs, with their arguments, that run the test program in the end. */
  constructor(netnsPath: string, program: string, args: readonly string[], through: readonly string[] = []) {
    const path = fileURLToPath(new URL(program, import.meta.url));
    this.#process = spawn(
      "nsenter",
      [`--net=${netnsPath}`, ...through, process.execPath, "--conditions=@sallyport/source", path, ...args],
      { stdio: ["ignore", "inherit", "inherit", "ipc"] },
    );
    this.#process.on("message", (message) => this.#settle(message as Answer));
    this.#process.once("exit", () => {
      for (const waiting of this.#waiting.values()) waiting.reject(new RemoteError("the child ended", "ENDED"));
      this.#waiting.clear();
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  call<T>(method: string, ...args: readonly unknown[]): Promise<T> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: (value) => resolve(value as T), reject });
      this.#process.send({ id, method, args });
    });
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (answer.error === undefined) waiting?.resolve(answer.result);
    else waiting?.reject(new RemoteError(answer.error.message, answer.error.code));
  }

  /** `kill -9`, and the end of it seen. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await exited;
  }
}

type Methods = Readonly<Record<string, (...args: never[]) => unknown>>;

/** The other side: answers calls with the functions given. */
export function answerCalls(methods: Methods): void {
  process.on("message", (message: { id: number; method: string; args: never[] }) => {
    const respond = async (): Promise<unknown> => methods[message.method]?.(...message.args);
    respond().then(
      (result) => process.send?.({ id: message.id, result }),
      (error: unknown) => {
        const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
        process.send?.({ id: message.id, error: { message: String(error), code } });
      },
    );
  });
  process.once("disconnect", () => process.exit());
}
