// The subreaper: the program's exit status, forwarded signals, orphans that outlive it, deaths of either half.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { sanitized } from "./build.ts";
import { descendants, until } from "./init-process.ts";

const started: ChildProcess[] = [];
const orphans: number[] = [];

afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    for (const pid of descendants(child.pid ?? 0)) kill(pid, "SIGKILL");
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  for (const pid of orphans.splice(0)) kill(pid, "SIGKILL");
});

describe("sallyport-reap", () => {
  it("gives the program's exit status, or 128 and its signal", async () => {
    expect(await over(reap(["sh", "-c", "exit 0"]))).toMatchObject({ code: 0 });
    expect(await over(reap(["sh", "-c", "exit 42"]))).toMatchObject({ code: 42 });
    expect(await over(reap(["sh", "-c", "kill -9 $$"]))).toMatchObject({ code: 128 + 9 });
  });

  it("says what cannot be started", async () => {
    for (const [program, code, says] of [
      [["/no/such/program"], 127, "cannot start /no/such/program: No such file"],
      [["/etc/passwd"], 126, "Permission denied"],
      [[], 125, "usage"],
    ] as const) {
      const result = await over(reap(program));
      expect(result.code).toBe(code);
      expect(result.stderr).toContain(says);
    }
  });

  it("passes input, outputs, arguments and environment through", async () => {
    const child = reap(["sh", "-c", 'read line; echo "$line $1 $HOME"; echo problem >&2', "sh", "an argument"]);
    child.stdin?.end("a line\n");
    expect(await over(child)).toMatchObject({
      code: 0,
      stdout: `a line an argument ${process.env["HOME"] ?? ""}\n`,
      stderr: "problem\n",
    });
  });

  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    it(`forwards ${signal} and waits for the program`, async () => {
      const name = signal.slice(3);
      const child = reap(["sh", "-c", `trap 'echo heard; exit 5' ${name}; echo ready; while :; do sleep 0.01; done`]);
      await firstLine(child);
      child.kill(signal);
      expect(await over(child)).toMatchObject({ code: 5, stdout: "ready\nheard\n" });
    });
  }

  it("ends with the program, its outputs too, while the reaper stays until the last orphan has ended", async () => {
    const directory = mkdtempSync(join(tmpdir(), "reap-"));
    const pidfile = join(directory, "pid");
    // The orphan holds none of the caller's pipes; a caller that waits for their end must not wait for it.
    const script = "(exec >&- 2>&- <&-; exec sleep 60) & echo $!; exit 6";
    const child = reap(["sh", "-c", script], ["--pidfile", pidfile]);
    const result = await over(child);
    expect(result.code).toBe(6);
    const orphan = Number(result.stdout);
    orphans.push(orphan);
    const reaper = Number(readFileSync(pidfile, "latin1"));
    expect(statusOf(orphan, "PPid")).toBe(String(reaper));
    expect(statusOf(reaper, "Name")).toBe("sallyport-reap");
    kill(orphan, "SIGKILL");
    await until(() => !isThere(orphan), "the orphan is reaped");
    await until(() => !isThere(reaper), "the end of the reaper");
    rmSync(directory, { recursive: true });
  });

  it("reaps orphans while the program runs", async () => {
    const child = reap(["sh", "-c", "sh -c 'sleep 0.05 & echo $!'; read line"]);
    const orphan = Number(await firstLine(child));
    await until(() => !isThere(orphan), "the orphan is reaped");
    child.stdin?.end("\n");
    expect(await over(child)).toMatchObject({ code: 0 });
  });

  it("gives the program SIGTERM when its front is killed, and ends after it", async () => {
    const child = reap(["sh", "-c", "trap 'echo heard; exit 5' TERM; echo ready; while :; do sleep 0.01; done"]);
    await firstLine(child);
    const [reaper = 0] = descendants(child.pid ?? 0);
    const closed = over(child);
    child.kill("SIGKILL");
    expect(await closed).toMatchObject({ code: null, stdout: "ready\nheard\n" });
    await until(() => !isThere(reaper), "the end of the reaper");
  });

  it("gives the program SIGTERM when its reaper is killed, and says so", async () => {
    const child = reap(["sh", "-c", "trap 'echo heard; exit 5' TERM; echo ready; while :; do sleep 0.01; done"]);
    await firstLine(child);
    const [reaper = 0] = descendants(child.pid ?? 0);
    const closed = over(child);
    kill(reaper, "SIGKILL");
    const result = await closed;
    expect(result).toMatchObject({ code: 125, stdout: "ready\nheard\n" });
    expect(result.stderr).toContain("the reaper ended before the program");
  });
});

function reap(program: readonly string[], options: readonly string[] = []): ChildProcess {
  const child = spawn(sanitized("sallyport-reap"), [...options, "--", ...program], { stdio: "pipe" });
  started.push(child);
  return child;
}

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const printed = new WeakMap<ChildProcess, string>();

/** The end of the front and of the outputs. */
async function over(child: ChildProcess): Promise<Result> {
  let [stdout, stderr] = [printed.get(child) ?? "", ""];
  child.stdout?.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  await once(child, "close");
  return { code: child.exitCode, stdout, stderr };
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) return "";
  const told: unknown[] = await once(child.stdout, "data");
  const line = String(told[0]);
  printed.set(child, line);
  return line;
}

function statusOf(pid: number, field: string): string | undefined {
  return new RegExp(`^${field}:\\t(.*)$`, "m").exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
}

function isThere(pid: number): boolean {
  return kill(pid, 0);
}

function kill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
