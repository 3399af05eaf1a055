// init as an ordinary process of the test, on a port of its own.
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { sanitized } from "./build.ts";
import { Peer } from "./peer.ts";

/** A running init. Disposal kills it with all that it started, and fails when it had ended or a sanitizer spoke. */
export class InitProcess implements AsyncDisposable {
  readonly secret: Buffer;
  readonly port: number;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #complaints: readonly string[];

  private constructor(child: ChildProcess, secret: Buffer, port: number, complaints: readonly string[]) {
    this.#child = child;
    this.secret = secret;
    this.port = port;
    this.pid = child.pid ?? 0;
    this.#complaints = complaints;
  }

  static async start(wrapper: readonly string[] = []): Promise<InitProcess> {
    const secret = randomBytes(32);
    const program = sanitized("sallyport-init");
    const [command, argv] = wrapper[0] === undefined ? [program, []] : [wrapper[0], [...wrapper.slice(1), program]];
    const child = spawn(command, argv, {
      env: { PATH: process.env["PATH"], SALLYPORT_INIT_SECRET: secret.toString("hex"), SALLYPORT_INIT_PORT: "0" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const complaints: string[] = [];
    child.stderr.on("data", (chunk: Buffer) => complaints.push(chunk.toString()));
    const told: unknown[] = await once(child.stdout, "data");
    return new InitProcess(child, secret, Number(String(told[0])), complaints);
  }

  greet(): Promise<{ peer: Peer; records: Awaited<ReturnType<typeof Peer.greet>>["records"] }> {
    return Peer.greet(this.port, this.secret);
  }

  /** A connection that has said HELLO, where nobody cares what it was told. */
  async peer(): Promise<Peer> {
    return (await this.greet()).peer;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const wasRunning = this.isRunning;
    // Several times: a process may fork while its siblings are killed.
    while (this.isRunning && killAll(descendants(this.pid)) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    if (this.isRunning) {
      const ended = once(this.#child, "close");
      this.#child.kill("SIGKILL");
      await ended;
    }
    if (!wasRunning || this.#complaints.length > 0) {
      throw new Error(`init ended or complained:\n${this.#complaints.join("")}`);
    }
  }
}

function killAll(pids: readonly number[]): number {
  let killed = 0;
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
      killed += 1;
    } catch {
      // it has ended by itself
    }
  }
  return killed;
}

/** Children of a process, and theirs, as far as they are no zombies. */
export function descendants(pid: number): number[] {
  const children = readOr(`/proc/${pid}/task/${pid}/children`, "").split(" ").filter(Boolean).map(Number);
  const living = children.filter((child) => !/\) [ZX] /.test(readOr(`/proc/${child}/stat`, "0 () X 0")));
  return [...living, ...living.flatMap(descendants)];
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, "latin1").trim();
  } catch {
    return otherwise;
  }
}

/** Polls until a condition holds. */
export async function until(condition: () => boolean, what: string, timeoutMs = 10_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
