// The real init as an ordinary process: apps/init's program, listening on a port of its own.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { fileURLToPath } from "node:url";

/** The real init's program, which is the tool for files too. */
export const PROGRAM: string = fileURLToPath(new URL("../../init/build/sallyport-init", import.meta.url));

/** A running init. Disposal kills it with everything that it started. */
export interface RealInit extends AsyncDisposable {
  readonly port: number;
  readonly secret: Buffer;
  readonly pid: number;
}

/** Starts an init. Rejects when apps/init was not built. */
export async function startRealInit(): Promise<RealInit> {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: build apps/init first`);
  const secret = randomBytes(32);
  const env = { SALLYPORT_INIT_PORT: "0", SALLYPORT_INIT_SECRET: secret.toString("hex") };
  const child = spawn(PROGRAM, [], { env, stdio: ["ignore", "pipe", "inherit"] });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const { pid } = child;
  if (pid === undefined) throw new Error("init could not be started");
  const [line] = await Array.fromAsync(firstLine(child.stdout));
  return {
    port: Number(line),
    secret,
    pid,
    async [Symbol.asyncDispose]() {
      const descendants = descendantsOf(pid);
      child.kill("SIGKILL");
      await exited;
      for (const descendant of descendants) kill(descendant);
    },
  };
}

async function* firstLine(stream: NodeJS.ReadableStream): AsyncGenerator<string> {
  for await (const line of createInterface({ input: stream })) {
    yield line;
    return;
  }
}

/** What an init has started, directly or through others. */
export function descendantsOf(pid: number): number[] {
  let children: string;
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  } catch {
    return []; // ended meanwhile
  }
  const direct = children
    .split(" ")
    .filter((text) => text !== "")
    .map(Number);
  return direct.flatMap((child) => [child, ...descendantsOf(child)]);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it ended by itself
  }
}
