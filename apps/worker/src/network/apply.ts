// One persistent conversation with the kernel's rules: the sallyport-nft helper inside a network namespace.
//
// Frames both ways: u32 big-endian length, payload. Request payload: `j` + JSON or `t` + nft text, one transaction, or `n`
// + netlink messages. Answer payload: u8 status (0 done, 1 refused) + JSON output or netlink messages, or the error text.
// Answers come in order.

import type { ChildProcess } from "node:child_process";
import { start } from "../system/command.ts";
import { NetworkError } from "./errors.ts";

const ANSWER_TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const ERROR_LENGTH = 500;

/** Thrown where no answer came: whether the transaction was applied is not known. */
export class SessionLostError extends NetworkError {
  constructor(message: string, cause?: unknown) {
    super("RulesNotApplied", message, cause);
  }
}

interface Pending {
  readonly resolve: (output: Buffer) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export interface NftSessionOptions {
  /** Path of the sallyport-nft program. */
  readonly helper: string;
  /** Namespace to run in; without it the one of this process. */
  readonly netnsPath?: string;
  readonly answerTimeoutMs?: number;
}

/** The helper is started with the first request, and again with the first request after it was lost. */
export class NftSession implements AsyncDisposable {
  readonly #options: NftSessionOptions;
  readonly #pending: Pending[] = [];
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #received = Buffer.alloc(0);
  #closed = false;

  constructor(options: NftSessionOptions) {
    this.#options = options;
  }

  /** Process id of the running helper, for tests and reports. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /**
   * Runs nft text as one transaction.
   *
   * @throws NetworkError `RulesNotApplied` where the kernel refuses; SessionLostError where no answer came.
   */
  async apply(text: string): Promise<void> {
    await this.#request("t", Buffer.from(text, "utf8"));
  }

  /** Runs libnftables JSON and gives its JSON answer. Throws as `apply`. */
  async query(commands: readonly object[]): Promise<NftObject[]> {
    const output = await this.#request("j", Buffer.from(JSON.stringify({ nftables: commands }), "utf8"));
    return objectsOf(output.toString("utf8"));
  }

  /** Hands netlink messages to the kernel's netfilter and gives what it says to them, refusals among it. Throws as `apply`. */
  async exchange(messages: Buffer): Promise<Buffer> {
    return this.#request("n", messages);
  }

  #request(kind: "t" | "j" | "n", body: Buffer): Promise<Buffer> {
    if (this.#closed) return Promise.reject(new NetworkError("Closed", "the rules session is closed"));
    const child = this.#child ?? this.#start();
    const head = Buffer.alloc(5, kind);
    head.writeUInt32BE(body.length + 1);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#lose(child, "the rules helper did not answer"),
        this.#options.answerTimeoutMs ?? ANSWER_TIMEOUT_MS,
      );
      this.#pending.push({ resolve, reject, timer });
      child.stdin?.write(Buffer.concat([head, body]));
    });
  }

  #start(): ChildProcess {
    const { helper, netnsPath } = this.#options;
    const child = start(netnsPath === undefined ? [helper] : ["nsenter", `--net=${netnsPath}`, helper], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    this.#child = child;
    this.#received = Buffer.alloc(0);
    this.#exited = new Promise((resolve) => {
      child.once("close", () => resolve());
      child.once("error", (error) => {
        this.#lose(child, "the rules helper could not be started", error);
        resolve();
      });
    });
    child.once("exit", () => this.#lose(child, "the rules helper ended"));
    // Broken pipes show as the exit above.
    child.stdin?.on("error", () => undefined);
    child.stdout?.on("data", (chunk: Buffer) => {
      if (child === this.#child) this.#receive(child, chunk);
    });
    return child;
  }

  #receive(child: ChildProcess, chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 4) {
      const length = this.#received.readUInt32BE(0);
      if (length < 1 || length > MAX_ANSWER_BYTES) {
        this.#lose(child, "the rules helper broke its protocol");
        return;
      }
      if (this.#received.length < 4 + length) return;
      const answer = this.#received.subarray(4, 4 + length);
      this.#received = this.#received.subarray(4 + length);
      this.#answer(child, answer);
    }
  }

  #answer(child: ChildProcess, answer: Buffer): void {
    const pending = this.#pending.shift();
    if (pending === undefined) {
      this.#lose(child, "the rules helper answered nothing that was asked");
      return;
    }
    clearTimeout(pending.timer);
    const output = answer.subarray(1);
    if (answer[0] === 0) pending.resolve(output);
    else pending.reject(refused(output.toString("utf8")));
  }

  #lose(child: ChildProcess, message: string, cause?: unknown): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    child.kill("SIGKILL");
    for (const pending of this.#pending.splice(0)) {
      clearTimeout(pending.timer);
      pending.reject(new SessionLostError(message, cause));
    }
  }

  /** Ends the helper. Requests still without answer fail. The rules stay. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    if (this.#child !== undefined) this.#lose(this.#child, "the rules session is closed");
    await this.#exited;
  }
}

/** The kernel said no, in these words: what was there before is there still. */
export function refused(words: string): NetworkError {
  return new NetworkError("RulesNotApplied", `the kernel refused: ${words.trim().slice(0, ERROR_LENGTH)}`);
}

/** One entry of libnftables' JSON output, unread. */
export type NftObject = Readonly<Record<string, unknown>>;

function objectsOf(output: string): NftObject[] {
  if (output.trim() === "") return [];
  const parsed: unknown = JSON.parse(output);
  if (typeof parsed !== "object" || parsed === null || !("nftables" in parsed) || !Array.isArray(parsed.nftables)) {
    return [];
  }
  return parsed.nftables.filter((entry): entry is NftObject => typeof entry === "object" && entry !== null);
}

/** The named member of an entry, such as its `rule` or `chain`, as an object. */
export function member(entry: NftObject, name: string): NftObject | undefined {
  const value = entry[name];
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : undefined;
}
