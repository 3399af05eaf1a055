// Need: a container engine that makes images, from Debian's packages, unpacked under /opt/sallyport: no service of it is
// installed or started, nothing of the user's is configured, and runc is left out on purpose.
import { createHash } from "node:crypto";
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { arch } from "node:os";
import { basename, join } from "node:path";
import type { DebianArchive } from "./apt-source.ts";
import { debianArchive, downloadPackages, packageFile } from "./apt-source.ts";
import { isThere, linkTarget, putInPlace, sweepUnfinished, switchLink } from "./atomic.ts";
import { runOk } from "./command.ts";
import { HostError } from "./errors.ts";
import type { CureContext, Finding, Need } from "./finding.ts";
import type { SallyportPaths } from "./paths.ts";

interface EnginePackage {
  readonly name: string;
  readonly version: string;
  /** Other architectures rest on the archive's signature, which apt checks in any case. */
  readonly sha256: Readonly<Record<string, string>>;
  /** What is taken of it: directories of the package and file names. */
  readonly files: readonly (readonly [from: string, to: string])[];
}

const SUITE = "bookworm";
const PACKAGES: readonly EnginePackage[] = [
  {
    name: "docker.io",
    version: "20.10.24+dfsg1-1+deb12u1+b6",
    sha256: { x64: "daf8ff8f7aa53e8533d38e386fcc2a11e8f3891210776fb78a84b98feb4eea0e" },
    files: [["usr/sbin/dockerd", "bin/dockerd"]],
  },
  {
    name: "containerd",
    version: "1.6.20~ds1-1+deb12u3",
    sha256: { x64: "8669d264eeb0fcdb4a0b1ba436ab88ec5dafde4a66e1278ec279d830db4c2216" },
    files: [
      ["usr/bin/containerd", "bin/containerd"],
      ["usr/bin/containerd-shim-runc-v2", "bin/containerd-shim-runc-v2"],
    ],
  },
  {
    // dockerd is linked against it, and a small Debian has it not.
    name: "libdevmapper1.02.1",
    version: "2:1.02.185-2",
    sha256: { x64: "aaa78ca236055fedccf637eacf7bda02bf1980b2db668dccd202b04d0d2cfe04" },
    files: [["lib/*/libdevmapper.so.1.02.1", "lib/libdevmapper.so.1.02.1"]],
  },
];

const WHY =
  "images are pulled and built by an engine of the platform's own, under gVisor; sandboxes from the default image do without it";

/** The engine's directory (`bin/`, `lib/`), links followed; undefined where there is none. */
export async function findEngine(paths: SallyportPaths): Promise<string | undefined> {
  const version = await linkTarget(paths.opt.engineCurrent);
  if (version === undefined) return undefined;
  const directory = join(paths.opt.engine, version);
  return (await isThere(join(directory, "bin", "dockerd"))) ? directory : undefined;
}

/** Need: /opt/sallyport/engine/current. Missing it is a warning: only pulling and building images rests on it. */
export function engineNeed(paths: SallyportPaths): Need {
  const probe = async (): Promise<Finding> => {
    const found = await findEngine(paths);
    if (found !== undefined && basename(found) === folderName()) {
      return { need: "engine", state: "ok", why: WHY, found };
    }
    return {
      need: "engine",
      state: "warning",
      optional: true,
      why: WHY,
      ...(found === undefined ? {} : { found }),
      problem:
        found === undefined
          ? `no engine in ${paths.opt.engine}: images can be neither pulled nor built`
          : "the engine is of an earlier release of Sallyport",
      cure: {
        say: ["npm run setup"],
        what: "fetch dockerd and containerd from Debian and unpack them (no service is installed)",
        apply: (context) => install(paths, context),
      },
    };
  };
  return { name: "engine", probe };
}

/** One folder per set of packages. */
function folderName(): string {
  const words = PACKAGES.map(({ name, version, files }) => `${name}=${version} ${files.join()}`);
  return createHash("sha256").update(words.join("\n")).digest("hex").slice(0, 16);
}

async function install(paths: SallyportPaths, context: CureContext): Promise<void> {
  const archive = await debianArchive();
  await mkdir(paths.cache.downloads, { recursive: true, mode: 0o755 });
  await mkdir(paths.opt.engine, { recursive: true, mode: 0o755 });
  await sweepUnfinished(paths.opt.engine);
  const work = await mkdtemp(join(paths.cache.downloads, "engine-"));
  const directory = await mkdtemp(join(paths.opt.engine, ".new-"));
  try {
    await download(archive, work, context);
    for (const one of PACKAGES) {
      const unpacked = join(work, one.name);
      await runOk("dpkg-deb", ["-x", await packageFile(work, one.name), unpacked], { signal: context.signal });
      await takeFiles(one, unpacked, directory);
    }
    for (const name of ["bin", "lib", "."]) await chmod(join(directory, name), 0o755);
    await putInPlace(directory, join(paths.opt.engine, folderName()));
    await switchLink(paths.opt.engineCurrent, folderName());
  } finally {
    await rm(work, { recursive: true, force: true });
    await rm(directory, { recursive: true, force: true });
  }
}

/** The pinned versions; where the archive has moved on to a security update, what it has now, on its signature alone. */
async function download(archive: DebianArchive, directory: string, context: CureContext): Promise<void> {
  const pinned = PACKAGES.map(({ name, version }) => `${name}=${version}`);
  try {
    await downloadPackages(archive, SUITE, pinned, directory, context);
  } catch (error) {
    if (!(error instanceof HostError) || error.code !== "CommandFailed") throw error;
    context.note("the pinned versions are not to be had any more: taking what the archive has now");
    for (const name of await readdir(directory)) await rm(join(directory, name), { force: true });
    const names = PACKAGES.map(({ name }) => name);
    await downloadPackages(archive, SUITE, names, directory, context);
    return;
  }
  for (const { name, sha256 } of PACKAGES) {
    const expected = sha256[arch()];
    if (expected === undefined) {
      context.note(`${name} for ${arch()} has no pinned hash: apt has checked the archive's signature`);
      continue;
    }
    const found = createHash("sha256")
      .update(await readFile(await packageFile(directory, name)))
      .digest("hex");
    if (found !== expected) {
      throw new HostError("BadDownload", `the package ${name} has SHA-256 ${found}, but ${expected} is pinned`);
    }
  }
}

async function takeFiles({ name, files }: EnginePackage, unpacked: string, directory: string): Promise<void> {
  for (const [from, to] of files) {
    const path = from.includes("*") ? await onlyMatch(unpacked, from) : join(unpacked, from);
    if (path === undefined || !(await isThere(path))) throw new HostError("BadDownload", `${name} has no ${from}`);
    await mkdir(join(directory, to, ".."), { recursive: true, mode: 0o755 });
    await copyFile(path, join(directory, to));
    await chmod(join(directory, to), 0o755);
  }
}

/** Libraries lie below a directory that is named for the architecture. */
async function onlyMatch(root: string, pattern: string): Promise<string | undefined> {
  const [before = "", after = ""] = pattern.split("/*/");
  for (const name of await readdir(join(root, before))) {
    const path = join(root, before, name, after);
    if (await isThere(path)) return path;
  }
  return undefined;
}
