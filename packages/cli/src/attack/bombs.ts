// Probes that try to use up what others need: processes, memory, disk, output, descriptors, processor time.
import { SallyportError, type Sandbox } from "@sallyport/sdk";
import { BOMB_LIMITS, type BombContext, type BombProbe, type Verdict } from "./probe.ts";

const BOMB_MS = 90_000;
const MIB = 1024 * 1024;
/** More than the gateway lets run at one time. */
const EXEC_FLOOD = 400;
/** More than the platform keeps of one output. */
const LOG_FLOOD_MIB = 256;
/** What the platform may keep of one output at most, with room to spare. */
const KEPT_MIB = 128;

export const BOMBS: readonly BombProbe[] = [
  {
    name: "fork bomb",
    aim: "use up the host's processes",
    run: (bomb) =>
      explode(
        bomb,
        `
import os, time
made = 0
try:
    while made < 20000:
        if os.fork() == 0: time.sleep(600)
        made += 1
except OSError as error: print("refused after %d: %s" % (made, error), flush=True); os._exit(0)
print("UNBOUNDED %d" % made, flush=True)`,
      ),
  },
  {
    name: "memory bomb",
    aim: "use up the host's memory",
    run: (bomb) =>
      explode(
        bomb,
        `
held = []
for step in range(${BOMB_LIMITS.memoryMiB * 2 - 128}):
    block = bytearray(1 << 20)
    for at in range(0, len(block), 4096): block[at] = 1
    held.append(block)
print("UNBOUNDED %d MiB" % len(held), flush=True)`,
      ),
  },
  {
    name: "memory file system",
    aim: "use up the host's memory through /dev/shm and /tmp",
    run: (bomb) => explode(bomb, filling("tempfile.gettempdir() + '/fill'", BOMB_LIMITS.memoryMiB * 2)),
  },
  {
    name: "disk fill",
    aim: "use up the host's disk",
    run: (bomb) => explode(bomb, filling("'/fill'", BOMB_LIMITS.diskMiB + 64)),
  },
  {
    name: "file flood",
    aim: "use up the host's inodes",
    run: (bomb) =>
      explode(
        bomb,
        `
import os, time
os.makedirs("/flood"); made, until = 0, time.monotonic() + 20
try:
    while made < 300000 and time.monotonic() < until:
        os.close(os.open("/flood/%d" % made, os.O_CREAT | os.O_WRONLY)); made += 1
except OSError as error: print("refused after %d files: %s" % (made, error), flush=True); os._exit(0)
print("%d files, kept in the sandbox's own bounds" % made, flush=True)`,
      ),
  },
  {
    name: "descriptor flood",
    aim: "use up the host's file descriptors",
    run: (bomb) =>
      explode(
        bomb,
        `
import os
opened = 0
try:
    while opened < 200000: os.open("/etc/hosts", os.O_RDONLY); opened += 1
except OSError as error: print("refused after %d: %s" % (opened, error), flush=True); os._exit(0)
print("UNBOUNDED %d" % opened, flush=True)`,
      ),
  },
  {
    name: "socket flood",
    aim: "use up the host's sockets",
    run: (bomb) =>
      explode(
        bomb,
        `
import socket
held = []
try:
    while len(held) < 200000: held.append(socket.socket())
except OSError as error: print("refused after %d: %s" % (len(held), error), flush=True); raise SystemExit(0)
print("UNBOUNDED %d" % len(held), flush=True)`,
      ),
  },
  {
    name: "processor hog",
    aim: "leave others no processor time",
    run: (bomb) =>
      explode(
        bomb,
        `
import os, time
until = time.monotonic() + 5
for _ in range(16):
    if os.fork() == 0:
        while time.monotonic() < until: pass
        os._exit(0)
while time.monotonic() < until + 1: time.sleep(0.1)
print("16 processes span for 5 s within the sandbox's share", flush=True)`,
      ),
  },
  { name: "log flood", aim: "use up the host's disk with output", run: floodLog },
  { name: "exec flood", aim: "use up the gateway with processes", run: floodExecs },
  {
    name: "killing init",
    aim: "bring more down than the own sandbox",
    run: async ({ sandbox, signal }) => {
      await sandbox.exec(["python3", "-c", "import os; os.kill(1, 9)"], { signal });
      const status = await sandbox.wait({ signal, timeoutMs: BOMB_MS });
      return { held: true, seen: `only this sandbox ended: ${status.reason}` };
    },
  },
];

/** Writes to the path that a Python expression gives. */
function filling(path: string, mib: number): string {
  return `
import os, tempfile
block, written = os.urandom(1 << 20), 0
try:
    with open(${path}, "wb", buffering=0) as file:
        while written < ${mib}: file.write(block); os.fsync(file.fileno()); written += 1
except OSError as error: print("refused after %d MiB: %s" % (written, error), flush=True); os._exit(0)
print("UNBOUNDED %d MiB" % written, flush=True)`;
}

/** Held where the program is refused, is killed, or takes its sandbox along; a program that gets all it wants says UNBOUNDED. */
async function explode({ sandbox, signal }: BombContext, python: string): Promise<Verdict> {
  try {
    const result = await sandbox.run(["python3", "-c", python], { lifetimeMs: BOMB_MS, signal });
    const said = result.stdout.trim().split("\n").at(-1) ?? "";
    if (said.includes("UNBOUNDED")) return { held: false, seen: said };
    if (result.reason === "timeout") return { held: false, seen: `still going after ${BOMB_MS / 1_000} s` };
    // A process is terminated when its sandbox ended: that end has the reason.
    if (result.reason === "terminated") return await sandboxEnded(sandbox, signal);
    return { held: true, seen: said === "" ? `ended: ${result.reason}, exit code ${result.exitCode}` : said };
  } catch (error) {
    if (!SallyportError.is(error, "SandboxEnded") && !SallyportError.is(error, "NotFound")) throw error;
    return await sandboxEnded(sandbox, signal);
  }
}

async function sandboxEnded(sandbox: Sandbox, signal: AbortSignal): Promise<Verdict> {
  const { reason } = await sandbox.wait({ signal, timeoutMs: BOMB_MS });
  return { held: true, seen: `the sandbox ended, and said why: ${reason}` };
}

async function floodLog({ sandbox, signal }: BombContext): Promise<Verdict> {
  const flood = await sandbox.exec(["head", "-c", `${LOG_FLOOD_MIB}M`, "/dev/zero"], { lifetimeMs: BOMB_MS, signal });
  const status = await flood.wait({ signal, timeoutMs: BOMB_MS });
  let kept = 0;
  let lost = 0;
  const rest = flood.stdout.from(0, { onGap: ({ from, to }) => (lost += to - from) });
  for await (const chunk of rest) kept += chunk.length;
  const whole = kept + lost === LOG_FLOOD_MIB * MIB || status.reason === "timeout";
  return {
    held: whole && kept <= KEPT_MIB * MIB,
    seen: `${Math.round(kept / MIB)} MiB of ${LOG_FLOOD_MIB} kept, the rest told as a gap`,
  };
}

async function floodExecs({ sandbox, signal }: BombContext): Promise<Verdict> {
  const codes = new Map<string, number>();
  const starting = Array.from({ length: EXEC_FLOOD }, async () => {
    try {
      await sandbox.exec(["sleep", "60"], { signal, timeoutMs: BOMB_MS });
      return "started";
    } catch (error) {
      if (SallyportError.is(error)) return error.code;
      throw error;
    }
  });
  for (const code of await Promise.all(starting)) codes.set(code, (codes.get(code) ?? 0) + 1);
  const seen = [...codes].map(([code, count]) => `${count} ${code}`).join(", ");
  const started = codes.get("started") ?? 0;
  return { held: started < EXEC_FLOOD && !codes.has("Internal"), seen };
}
