// Runs the probes of one sandbox, each as a process of its own, and reads what they say of themselves.
import { randomUUID } from "node:crypto";
import type { Sandbox } from "@sallyport/sdk";
import type { InsideProbe, Verdict } from "./probe.ts";

/** Longest any of them may take, in milliseconds. */
const PROBE_MS = 30_000;
const MAX_SEEN_CHARACTERS = 300;

/**
 * What every probe begins with. A device node may be made where it leads to nothing, so making one ends with opening it. `refused(what, call)` passes over an operating-system error, which is the answer hoped
 * for, and is `broken` when the call succeeds.
 */
const PRELUDE = `
import ctypes, errno, json, os, socket, stat, sys, tempfile
TMP = tempfile.gettempdir()
def at(name): return os.path.join(TMP, name).encode()
libc = ctypes.CDLL(None, use_errno=True)
MARK = sys.argv[1]
def say(held, seen):
    print(json.dumps({"mark": MARK, "held": held, "seen": str(seen)}), flush=True)
    os._exit(0)
def held(seen): say(True, seen)
def broken(seen): say(False, seen)
def call(name, *args):
    if getattr(libc, name)(*args) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
def refused(what, attempt):
    try:
        attempt()
    except OSError as error:
        return what + ": " + errno.errorcode.get(error.errno or 0, str(error))
    broken(what + " was allowed")
NUMBERS = dict(zip(("init_module", "finit_module", "kexec_load", "bpf", "perf_event_open", "add_key", "swapon", "settimeofday", "pivot_root"),
    (105, 273, 104, 280, 241, 217, 224, 170, 41) if os.uname().machine == "aarch64" else (175, 313, 246, 321, 298, 248, 167, 164, 155)))
def making(path, kind, major, minor):
    def attempt():
        os.mknod(path, kind | 0o600, os.makedev(major, minor))
        os.close(os.open(path, os.O_RDONLY))
    return attempt
def writing(path, text="1"):
    def attempt():
        with open(path, "w") as file: file.write(text)
    return attempt
`;

/** The verdict of one probe. A probe that says nothing understandable did not hold: silence proves nothing. */
export async function runInside(
  sandbox: Sandbox,
  probe: InsideProbe,
  targets: readonly string[],
  signal: AbortSignal,
): Promise<Verdict> {
  const mark = randomUUID();
  const command = ["python3", "-c", `${PRELUDE}\n${probe.python}`, mark, ...targets];
  const result = await sandbox.run(command, { lifetimeMs: PROBE_MS, signal });
  return readVerdict(result.stdout, mark) ?? { held: false, seen: `no verdict: ${shorten(result.stderr)}` };
}

/** The line that carries the mark, which the probe alone was told. Pure. */
export function readVerdict(stdout: string, mark: string): Verdict | undefined {
  for (const line of stdout.split("\n")) {
    const said = parse(line);
    if (said === undefined || said["mark"] !== mark) continue;
    const { held, seen } = said;
    if (typeof held === "boolean" && typeof seen === "string") return { held, seen: shorten(seen) };
  }
  return undefined;
}

function parse(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined; // no line of ours
  }
}

function shorten(text: string): string {
  const line = text.trim().split("\n").at(-1) ?? "";
  return line.length > MAX_SEEN_CHARACTERS ? `${line.slice(0, MAX_SEEN_CHARACTERS)}…` : line;
}
