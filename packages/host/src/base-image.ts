// Need: the default image, a Debian root file system made from signed packages, since no image registry may be reachable.
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DebianArchive } from "./apt-source.ts";
import { debianArchive, debLine, withoutCredentials } from "./apt-source.ts";
import { isThere, putInPlace, replaceFile, sweepUnfinished } from "./atomic.ts";
import { runOk } from "./command.ts";
import { HostError, isNoSuchFile } from "./errors.ts";
import type { CureContext, Finding, Need } from "./finding.ts";
import type { SallyportPaths } from "./paths.ts";
import { hashTree } from "./tree-hash.ts";

export interface BaseImage {
  readonly name: "default";
  /** `sha256:` + 64 hex characters, over the whole tree. */
  readonly digest: string;
  /** ISO 8601. */
  readonly createdAt: string;
  /** Hash of the recipe that made it. */
  readonly recipe: string;
  /** Never changed: sandboxes run on it. */
  readonly rootfs: string;
}

/** What the image is made of. A change of anything here makes a new image. */
const RECIPE = {
  revision: 1,
  suite: "bookworm",
  variant: "minbase",
  include: ["python3", "ca-certificates", "curl"],
  // /bin is a link to /usr/bin from the start: the package that would convert it brings 50 MB of perl along.
  merged: { hook: "/usr/share/mmdebstrap/hooks/merged-usr", package: "usr-is-merged" },
  // Nobody reads them in a sandbox: 50 MB. (dpkg's own path filters would cost half a minute of the build.)
  removed: ["usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian"],
  removedDocsBut: "copyright",
} as const;

const WHY = "every sandbox without an image of its own starts from it: Debian 12 with Python, curl and certificates";
const BUILD_TIMEOUT_MS = 15 * 60_000;

/**
 * Around the build: it ends, with all its children, when we are killed; and whatever it leaves mounted goes with its
 * mount namespace, so that no clean-up ever walks into this machine's /dev or /sys.
 */
const GUARDS = ["--pdeathsig", "KILL", "unshare", "--mount-proc", "--pid", "--fork", "--kill-child"];

/** Hash of the recipe. */
export function recipeHash(): string {
  return createHash("sha256").update(JSON.stringify(RECIPE)).digest("hex");
}

/** The default image of this machine. Throws HostError `NotFound` where set-up has not made it. */
export async function defaultImage(paths: SallyportPaths): Promise<BaseImage> {
  const image = await findDefaultImage(paths);
  if (image === undefined) {
    throw new HostError("NotFound", "the default image has not been made", { hint: "run: npm run setup" });
  }
  return image;
}

/** As `defaultImage`, or undefined where there is none of the current recipe. */
export async function findDefaultImage(paths: SallyportPaths): Promise<BaseImage | undefined> {
  let text: string;
  try {
    text = await readFile(paths.cache.defaultImageFile, "utf8");
  } catch (error) {
    if (isNoSuchFile(error)) return undefined;
    throw error;
  }
  const manifest = parseManifest(text);
  if (manifest === undefined || manifest.recipe !== recipeHash()) return undefined;
  const rootfs = join(paths.cache.images, manifest.digest.slice("sha256:".length), "rootfs");
  return (await isThere(join(rootfs, "usr", "bin", "python3"))) ? { ...manifest, rootfs } : undefined;
}

/** A manifest's fields, or undefined where the text is not one. Pure. */
export function parseManifest(text: string): Omit<BaseImage, "rootfs"> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { name, digest, createdAt, recipe } = value as Record<string, unknown>;
  if (name !== "default" || typeof digest !== "string" || !/^sha256:[0-9a-f]{64}$/.test(digest)) return undefined;
  if (typeof createdAt !== "string" || typeof recipe !== "string") return undefined;
  return { name, digest, createdAt, recipe };
}

/** Need: the default image. */
export function baseImageNeed(paths: SallyportPaths): Need {
  const probe = async (): Promise<Finding> => {
    const image = await findDefaultImage(paths);
    if (image !== undefined) {
      const found = `${image.digest.slice(0, 19)}… of ${image.createdAt.slice(0, 10)}`;
      return { need: "base-image", state: "ok", why: WHY, found };
    }
    return {
      need: "base-image",
      state: "missing",
      why: WHY,
      problem: `there is no default image below ${paths.cache.images}`,
      cure: {
        say: ["npm run setup"],
        what: `make the default image from Debian packages (${RECIPE.suite}, ${RECIPE.include.join(", ")}; about a minute)`,
        apply: (context) => buildBaseImage(paths, context),
      },
    };
  };
  return { name: "base-image", probe };
}

async function buildBaseImage(paths: SallyportPaths, context: CureContext): Promise<void> {
  const archive = await debianArchive();
  await mkdir(paths.cache.images, { recursive: true, mode: 0o755 });
  await sweepUnfinished(paths.cache.images);
  const work = await mkdtemp(join(paths.cache.images, ".new-"));
  try {
    const rootfs = join(work, "rootfs");
    const sources = join(work, "sources.list");
    await writeFile(sources, sourcesOf(archive), { mode: 0o600 });
    await runOk("setpriv", [...GUARDS, "mmdebstrap", ...mmdebstrapArguments(), RECIPE.suite, rootfs, sources], {
      signal: context.signal,
      onLine: context.note,
      timeoutMs: BUILD_TIMEOUT_MS,
      // unshare passes no polite signal on.
      graceMs: 0,
      env: { LC_ALL: "C.UTF-8", SOURCE_DATE_EPOCH: "0" },
    });
    await rm(sources);
    context.note("cleaning and hashing the tree");
    await cleanRootfs(rootfs, archive);
    const digest = `sha256:${await hashTree(rootfs)}`;
    const manifest = { name: "default", digest, createdAt: new Date().toISOString(), recipe: recipeHash() };
    const text = `${JSON.stringify(manifest, null, 2)}\n`;
    await writeFile(join(work, "manifest.json"), text, { mode: 0o644 });
    await chmod(work, 0o755);
    await putInPlace(work, join(paths.cache.images, digest.slice("sha256:".length)));
    await replaceFile(paths.cache.defaultImageFile, text);
    await retireOthers(paths, digest);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Earlier default images lose the name, and keep their trees: sandboxes may still run on them. */
async function retireOthers(paths: SallyportPaths, digest: string): Promise<void> {
  for (const name of await namesIn(paths.cache.images)) {
    const file = join(paths.cache.images, name, "manifest.json");
    if (!/^[0-9a-f]{64}$/.test(name) || !(await isThere(file))) continue;
    const manifest = parseManifest(await readFile(file, "utf8"));
    if (manifest === undefined || manifest.digest === digest) continue;
    await replaceFile(file, `${JSON.stringify({ ...manifest, name: `default-${name.slice(0, 12)}` }, null, 2)}\n`);
  }
}

function mmdebstrapArguments(): string[] {
  return [
    "--mode=root",
    `--variant=${RECIPE.variant}`,
    `--include=${[RECIPE.merged.package, ...RECIPE.include].join(",")}`,
    `--hook-dir=${RECIPE.merged.hook}`,
    // A build that is cut off is thrown away: nothing need reach the disk before it is done.
    "--dpkgopt=force-unsafe-io",
    "--aptopt=Acquire::Languages none",
    "--format=directory",
  ];
}

function sourcesOf(archive: DebianArchive): string {
  const { keyring, mainUri, securityUri } = archive;
  const lines = [debLine(keyring, mainUri, RECIPE.suite), debLine(keyring, mainUri, `${RECIPE.suite}-updates`)];
  if (securityUri !== undefined) lines.push(debLine(keyring, securityUri, `${RECIPE.suite}-security`));
  return lines.join("");
}

/** Takes away what belongs to this machine or to the building, and what gVisor brings itself. */
async function cleanRootfs(rootfs: string, archive: DebianArchive): Promise<void> {
  const inside = (path: string) => join(rootfs, path);
  // gVisor mounts a /dev of its own; device nodes in a directory that the host sees are only a risk.
  for (const directory of ["dev", "run", "tmp", "var/tmp", "var/log", "var/cache", "var/lib/apt/lists"]) {
    for (const name of await namesIn(inside(directory)))
      await rm(inside(`${directory}/${name}`), { recursive: true, force: true });
  }
  for (const directory of RECIPE.removed) {
    for (const name of await namesIn(inside(directory))) {
      await rm(inside(`${directory}/${name}`), { recursive: true, force: true });
    }
  }
  await removeDocs(inside("usr/share/doc"));
  await mkdir(inside("var/lib/apt/lists/partial"), { recursive: true });
  await mkdir(inside("var/cache/apt/archives/partial"), { recursive: true });
  await rm(inside("etc/apt/sources.list.d"), { recursive: true, force: true });
  await mkdir(inside("etc/apt/sources.list.d"));
  const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
  const bare = { ...archive, keyring, mainUri: withoutCredentials(archive.mainUri) };
  const security = archive.securityUri === undefined ? undefined : withoutCredentials(archive.securityUri);
  await writeFile(inside("etc/apt/sources.list"), sourcesOf({ ...bare, securityUri: security }), { mode: 0o644 });
  await rm(inside("etc/apt/apt.conf.d/99mmdebstrap"), { force: true });
  await rm(inside("etc/dpkg/dpkg.cfg.d/99mmdebstrap"), { force: true });
  // Per-instance files are mounted over these: they must be there, and must say nothing of the machine.
  for (const path of ["etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/machine-id"]) {
    await rm(inside(path), { force: true });
    await writeFile(inside(path), "", { mode: 0o644 });
  }
  await chmod(inside("tmp"), 0o1777);
  await chmod(inside("var/tmp"), 0o1777);
  await chmod(rootfs, 0o755);
}

/** Keeps what licences ask for. */
async function removeDocs(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    for (const name of await readdir(join(directory, entry.name))) {
      if (name !== RECIPE.removedDocsBut) await rm(join(directory, entry.name, name), { recursive: true, force: true });
    }
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isNoSuchFile(error)) return [];
    throw error;
  }
}
