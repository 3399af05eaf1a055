// Need: the C programs of apps/init (init, the subreaper, the nftables session, ...), built by this machine's compiler.
import { chmod, copyFile, cp, mkdir, mkdtemp, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { isThere, linkTarget, putInPlace, sweepUnfinished, switchLink } from "./atomic.ts";
import { runOk } from "./command.ts";
import { HostError } from "./errors.ts";
import type { CureContext, Finding, Need } from "./finding.ts";
import type { SallyportPaths } from "./paths.ts";
import { filesBelow, hashFiles } from "./tree-hash.ts";

const WHY =
  "init is the first process of every sandbox; the subreaper outlives the worker; both are C, small and static";
const BUILD_TIMEOUT_MS = 300_000;
const NOT_SOURCES = new Set(["build", "node_modules", "reports", "src", "test", "tests", "fuzz"]);

/** Hash over the sources of the native programs: the name of their folder under /opt/sallyport/native. */
async function nativeHash(clone: string): Promise<string> {
  const folder = join(clone, "apps", "init");
  return (await hashFiles(folder, await nativeSources(folder), [process.arch])).slice(0, 16);
}

/** Makefile, C and header files; not what is built from them, nor their tests. */
async function nativeSources(folder: string): Promise<string[]> {
  return filesBelow(folder, (path, isDirectory) => {
    if (isDirectory) return !NOT_SOURCES.has(path) && !path.startsWith(".");
    return path === "Makefile" || /\.[ch]$/.test(path);
  });
}

/** Need: /opt/sallyport/native/current. Without a clone (an installed `sallyport`) only its presence is looked at. */
export function nativeNeed(paths: SallyportPaths, clone?: string): Need {
  const probe = async (): Promise<Finding> => {
    const current = await linkTarget(paths.opt.nativeCurrent);
    const wanted = clone === undefined ? current : await nativeHash(clone);
    if (wanted !== undefined && current === wanted && (await isThere(join(paths.opt.native, wanted)))) {
      return { need: "native", state: "ok", why: WHY, found: join(paths.opt.native, wanted) };
    }
    return {
      need: "native",
      state: "missing",
      why: WHY,
      problem: `init is not built, or its sources have changed: ${paths.opt.nativeCurrent}`,
      cure: {
        say: ["npm run setup"],
        ...(clone === undefined || wanted === undefined
          ? {}
          : { what: "build init and its helpers with gcc", apply: (context) => build(paths, clone, wanted, context) }),
      },
    };
  };
  return { name: "native", probe };
}

async function build(paths: SallyportPaths, clone: string, hash: string, context: CureContext): Promise<void> {
  const folder = join(clone, "apps", "init");
  await mkdir(paths.opt.native, { recursive: true, mode: 0o755 });
  await sweepUnfinished(paths.opt.native);
  // Built in a copy: what the clone holds of an earlier build (sanitizers, another compiler) has no part in it.
  const work = await mkdtemp(join(paths.opt.native, ".new-"));
  const finished = await mkdtemp(join(paths.opt.native, ".new-"));
  try {
    for (const file of await nativeSources(folder)) await cp(join(folder, file), join(work, file));
    await runOk("make", ["-C", work], { signal: context.signal, onLine: context.note, timeoutMs: BUILD_TIMEOUT_MS });
    const programs = await programsIn(join(work, "build"));
    if (programs.length === 0) throw new HostError("NotFound", "make of apps/init left no program in build/");
    for (const name of programs) {
      await copyFile(join(work, "build", name), join(finished, name));
      await chmod(join(finished, name), 0o755);
    }
    await chmod(finished, 0o755);
    await putInPlace(finished, join(paths.opt.native, hash));
    await switchLink(paths.opt.nativeCurrent, hash);
  } finally {
    await rm(work, { recursive: true, force: true });
    await rm(finished, { recursive: true, force: true });
  }
}

async function programsIn(directory: string): Promise<string[]> {
  if (!(await isThere(directory))) return [];
  const programs: string[] = [];
  for (const name of await readdir(directory)) if (await isProgram(join(directory, name))) programs.push(name);
  return programs.sort();
}

/** An executable ELF file. */
async function isProgram(path: string): Promise<boolean> {
  const entry = await stat(path);
  if (!entry.isFile() || (entry.mode & 0o100) === 0) return false;
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return bytesRead === 4 && buffer.toString("latin1") === "\x7fELF";
  } finally {
    await file.close();
  }
}
