// Need: gVisor's runsc, new enough. Where PATH has none, one is taken from Debian's backports, pinned by version and hash.
import { createHash } from "node:crypto";
import { access, chmod, constants, copyFile, mkdir, mkdtemp, readFile, realpath, rm, stat } from "node:fs/promises";
import { arch } from "node:os";
import { delimiter, join } from "node:path";
import { debianArchive, downloadPackage } from "./apt-source.ts";
import { putInPlace, switchLink } from "./atomic.ts";
import { run, runOk } from "./command.ts";
import { HostError, isNoSuchFile } from "./errors.ts";
import type { CureContext, Finding, Need } from "./finding.ts";
import type { SallyportPaths } from "./paths.ts";

export interface Runsc {
  /** Absolute, links followed. */
  readonly path: string;
  /** As it says itself: "0.0~20240729.0", "release-20260713.0". */
  readonly version: string;
  /** The release's date, as a number: 20240729. */
  readonly releasedOn: number;
}

/** Debian's package, the newest that bookworm-backports has. */
const PACKAGE = {
  suite: "bookworm-backports",
  version: "0.0~20240729.0-4~bpo12+2",
  /** Other architectures rest on the archive's signature, which apt checks in any case. */
  sha256: { x64: "afdde883e3876ea807e19c708d4432674a20cb10186a7a5b554d62f38ea8de46" } as Record<string, string>,
};
/** Older ones know only ptrace, and cannot run our bundles. */
const OLDEST_RUNSC = 20240729;
/** Since then an idle sandbox costs no CPU (google/gvisor#13361), and CVE-2025-2713 is mended. */
const CURRENT_RUNSC = 20260701;
/** Until then runsc refuses to start where /proc/sys/net/core/rmem_default is visible (google/gvisor#10704). */
const GUARD_MENDED_RUNSC = 20240801;

const WHY = "gVisor is the wall between a sandbox and this machine's kernel; runsc is its program";

/** The release date in the first line of `runsc --version`, as a number, or undefined. Pure. */
export function parseRunscVersion(text: string): { version: string; releasedOn: number } | undefined {
  const version = /^runsc version (\S+)/m.exec(text)?.[1];
  const date = /(?:^|\D)(20\d{6})(?:\D|$)/.exec(version ?? "")?.[1];
  return version === undefined || date === undefined ? undefined : { version, releasedOn: Number(date) };
}

/** Whether /proc/sys/net must be hidden for `runsc start`: an old runsc takes this visibility for the root namespace. Pure. */
export function mustHideNetSysctls(runsc: Runsc, rmemDefaultIsVisible: boolean): boolean {
  return rmemDefaultIsVisible && runsc.releasedOn < GUARD_MENDED_RUNSC;
}

/** The newest usable runsc: ours under /opt/sallyport, or one in PATH that only root can change. Undefined where there is none. */
export async function findRunsc(
  paths: SallyportPaths,
  pathVariable: string = process.env["PATH"] ?? "",
): Promise<Runsc | undefined> {
  const found: Runsc[] = [];
  for (const candidate of await runscCandidates(paths, pathVariable)) {
    const said = parseRunscVersion((await run(candidate, ["--version"], { timeoutMs: 10_000 })).stdout);
    if (said !== undefined && said.releasedOn >= OLDEST_RUNSC) found.push({ path: candidate, ...said });
  }
  // The first of equals wins: ours is changed by nobody else.
  return found.reduce<Runsc | undefined>(
    (best, one) => (best && best.releasedOn >= one.releasedOn ? best : one),
    undefined,
  );
}

/** As `findRunsc`; throws HostError `NotFound` where there is none. */
export async function usableRunsc(paths: SallyportPaths): Promise<Runsc> {
  const runsc = await findRunsc(paths);
  if (runsc === undefined) throw new HostError("NotFound", "there is no usable runsc", { hint: "run: npm run setup" });
  return runsc;
}

/** Need: a runsc that is new enough. */
export function runscNeed(paths: SallyportPaths): Need {
  const probe = async (): Promise<Finding> => {
    const runsc = await findRunsc(paths);
    if (runsc === undefined) return missing(paths);
    const found = `${runsc.version} at ${runsc.path}`;
    if (runsc.releasedOn >= CURRENT_RUNSC) return { need: "runsc", state: "ok", why: WHY, found };
    return {
      need: "runsc",
      state: "warning",
      why: WHY,
      found,
      problem:
        "this runsc is older than 2026-07: an idle sandbox burns about 5 % of a core until it is frozen (google/gvisor#13361), and CVE-2025-2713 is not mended",
      cure: { say: ["put a current runsc into PATH, owned by root: it is preferred when it is newer"] },
    };
  };
  return { name: "runsc", probe };
}

function missing(paths: SallyportPaths): Finding {
  return {
    need: "runsc",
    state: "missing",
    why: WHY,
    problem: `no runsc of ${OLDEST_RUNSC} or newer, neither in ${paths.opt.runsc} nor in PATH`,
    cure: {
      say: [
        `add Debian's ${PACKAGE.suite} to your apt sources`,
        `apt-get update && apt-get install --no-install-recommends -t ${PACKAGE.suite} runsc`,
      ],
      what: `fetch runsc ${PACKAGE.version} from Debian's ${PACKAGE.suite}, beside your apt sources`,
      apply: (context) => installRunsc(paths, context),
    },
  };
}

async function installRunsc(paths: SallyportPaths, context: CureContext): Promise<void> {
  const archive = await debianArchive();
  await mkdir(paths.cache.downloads, { recursive: true, mode: 0o755 });
  await mkdir(paths.opt.runsc, { recursive: true, mode: 0o755 });
  const work = await mkdtemp(join(paths.cache.downloads, "runsc-"));
  try {
    const file = await downloadPackage(archive, PACKAGE.suite, `runsc=${PACKAGE.version}`, work, context);
    const pinned = PACKAGE.sha256[arch()];
    const sha256 = createHash("sha256")
      .update(await readFile(file))
      .digest("hex");
    if (pinned === undefined)
      context.note(`runsc for ${arch()} has no pinned hash: apt has checked the archive's signature`);
    else if (sha256 !== pinned) {
      throw new HostError("BadDownload", `the runsc package has SHA-256 ${sha256}, but ${pinned} is pinned`);
    }
    const unpacked = join(work, "unpacked");
    await runOk("dpkg-deb", ["-x", file, unpacked], { signal: context.signal });
    const directory = await mkdtemp(join(paths.opt.runsc, ".new-"));
    await copyFile(join(unpacked, "usr", "bin", "runsc"), join(directory, "runsc"));
    await chmod(join(directory, "runsc"), 0o755);
    await chmod(directory, 0o755);
    await putInPlace(directory, join(paths.opt.runsc, PACKAGE.version));
    await switchLink(paths.opt.runscCurrent, PACKAGE.version);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function runscCandidates(paths: SallyportPaths, pathVariable: string): Promise<string[]> {
  const candidates = [join(paths.opt.runscCurrent, "runsc")];
  for (const directory of pathVariable.split(delimiter)) {
    if (directory.startsWith("/")) candidates.push(join(directory, "runsc"));
  }
  const usable: string[] = [];
  for (const candidate of candidates) {
    const path = await ownedByRoot(candidate);
    if (path !== undefined && !usable.includes(path)) usable.push(path);
  }
  return usable;
}

/** The file behind a path, if it is an executable that only root can change: root is going to run it. */
async function ownedByRoot(path: string): Promise<string | undefined> {
  try {
    const target = await realpath(path);
    const file = await stat(target);
    if (!file.isFile() || file.uid !== 0 || (file.mode & 0o022) !== 0) return undefined;
    await access(target, constants.X_OK);
    return target;
  } catch (error) {
    if (isNoSuchFile(error)) return undefined;
    throw error;
  }
}
