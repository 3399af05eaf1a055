// Need: Node 24 and the built apps in a root-owned, world-readable folder: the apps' users cannot read a clone below a 0700 home.
import {
  chmod,
  copyFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { delimiter, dirname, join, relative } from "node:path";
import { isThere, linkTarget, putInPlace, sweepUnfinished, switchLink } from "./atomic.ts";
import { runOk } from "./command.ts";
import { HostError } from "./errors.ts";
import type { CureContext, Finding, Need } from "./finding.ts";
import type { SallyportPaths } from "./paths.ts";
import type { ReleaseInputs } from "./release-inputs.ts";
import { ROOT_FILES, releaseInputs } from "./release-inputs.ts";
import { filesBelow } from "./tree-hash.ts";
import { makeWorldReadable } from "./world-readable.ts";

const WHY =
  "the apps run as users of their own, which cannot read this clone: Node and the built apps go to a root-owned folder";
const BUILD_TIMEOUT_MS = 15 * 60_000;
const KEPT_RELEASES = 3;
const MOST_ATTEMPTS = 3;
const LAUNCHER = `#!/bin/sh
# Starts the sallyport command of this release with the Node of this release.
here=$(dirname "$(readlink -f "$0")")
exec "$here/node" "$here/../packages/cli/dist/main.js" "$@"
`;

/** Need: /opt/sallyport/current. Without a clone (an installed `sallyport`) only its presence is looked at. */
export function releaseNeed(paths: SallyportPaths, clone?: string): Need {
  const probe = async (): Promise<Finding> => {
    const current = await linkTarget(paths.opt.current);
    const inputs = clone === undefined ? undefined : await releaseInputs(clone);
    const wanted = inputs === undefined ? current : join("releases", inputs.hash);
    if (
      wanted !== undefined &&
      current === wanted &&
      (await isThere(join(paths.opt.root, wanted, "bin", "sallyport")))
    ) {
      return { need: "release", state: "ok", why: WHY, found: join(paths.opt.root, wanted) };
    }
    return {
      need: "release",
      state: "missing",
      why: WHY,
      problem:
        current === undefined ? `${paths.opt.current} is not there` : "the sources have changed since the last lay-out",
      cure: {
        say: ["npm run setup"],
        ...(clone === undefined || inputs === undefined
          ? {}
          : {
              what: `build the apps and lay them out in ${paths.opt.root}`,
              apply: (context) => layOut(paths, clone, context),
            }),
      },
    };
  };
  return { name: "release", probe };
}

async function layOut(paths: SallyportPaths, clone: string, context: CureContext): Promise<void> {
  await mkdir(paths.opt.releases, { recursive: true, mode: 0o755 });
  await sweepUnfinished(paths.opt.releases);
  let inputs = await releaseInputs(clone);
  for (let attempt = 1; !(await isThere(join(paths.opt.releases, inputs.hash))); attempt += 1) {
    if (attempt > MOST_ATTEMPTS) throw new HostError("CommandFailed", "the sources keep changing while they are built");
    await makeRelease(paths, clone, inputs, context);
    inputs = await releaseInputs(clone);
  }
  await switchLink(paths.opt.current, join("releases", inputs.hash));
  await removeOldReleases(paths, inputs.hash);
}

/** Puts a release in place, unless its sources have changed meanwhile: then nobody knows what it holds. */
async function makeRelease(
  paths: SallyportPaths,
  clone: string,
  inputs: ReleaseInputs,
  context: CureContext,
): Promise<void> {
  const finished = join(paths.opt.releases, inputs.hash);
  await build(clone, inputs, context);
  const node = await layOutNode(paths);
  const work = await mkdtemp(join(paths.opt.releases, ".new-"));
  try {
    await fill(work, clone, inputs, context);
    await mkdir(join(work, "bin"));
    await symlink(relative(join(finished, "bin"), node), join(work, "bin", "node"));
    await writeFile(join(work, "bin", "sallyport"), LAUNCHER, { mode: 0o755 });
    await makeWorldReadable(work);
    if ((await releaseInputs(clone)).hash === inputs.hash) await putInPlace(work, finished);
    else context.note("the sources have changed meanwhile: once more");
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function build(clone: string, inputs: ReleaseInputs, context: CureContext): Promise<void> {
  const turbo = join(clone, "node_modules", "turbo", "bin", "turbo");
  // Exactly these, each from the sources of the others: what only tests need must not be able to break a release.
  const filters = inputs.folders.map(({ name }) => `--filter=${name}`);
  await runOk(
    process.execPath,
    [turbo, "run", "build", "--only", "--output-logs=errors-only", "--log-order=grouped", ...filters],
    {
      name: "turbo run build",
      cwd: clone,
      env: { ...toolEnvironment(), TURBO_TELEMETRY_DISABLED: "1", FORCE_COLOR: "0" },
      signal: context.signal,
      onLine: context.note,
      timeoutMs: BUILD_TIMEOUT_MS,
    },
  );
}

/** Fills an empty folder: manifests, what was built, production dependencies as copies. */
async function fill(work: string, clone: string, inputs: ReleaseInputs, context: CureContext): Promise<void> {
  for (const file of ROOT_FILES) await cp(join(clone, file), join(work, file));
  for (const folder of inputs.folders) {
    await cp(join(clone, folder.path, "package.json"), join(work, folder.path, "package.json"));
    const dist = join(clone, folder.path, "dist");
    if (!(await isThere(dist))) throw new HostError("NotFound", `the build left no ${folder.path}/dist`);
    const source = join(clone, folder.path, "src");
    for (const file of await filesBelow(dist, (path, isDirectory) => isDirectory || path.endsWith(".js"))) {
      // What an earlier build left of a source that is gone has no part in a release.
      if (!(await isThere(join(source, file.replace(/\.js$/, ".ts"))))) continue;
      await cp(join(dist, file), join(work, folder.path, "dist", file));
    }
  }
  context.note("installing the production dependencies from pnpm's store");
  // Copies, not links into the store: nobody but root may be able to change what root runs. Optional dependencies
  // (Node, PostgreSQL) have places of their own.
  const filters = inputs.programs.flatMap((name) => ["--filter", `${name}...`]);
  await runOk(
    "pnpm",
    [
      "install",
      "--prod",
      "--no-optional",
      "--offline",
      "--frozen-lockfile",
      "--ignore-scripts",
      "--package-import-method=copy",
      ...filters,
    ],
    { cwd: work, env: toolEnvironment(), signal: context.signal, onLine: context.note, timeoutMs: BUILD_TIMEOUT_MS },
  );
  const manifest = { hash: inputs.hash, createdAt: new Date().toISOString(), node: process.version };
  await writeFile(join(work, "release.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** What builds and pnpm see: this Node first in PATH, and nothing of the npm run that started us. */
function toolEnvironment(): Record<string, string | undefined> {
  const path = `${dirname(process.execPath)}${delimiter}${process.env["PATH"] ?? ""}`;
  return { PATH: path, CI: "1", npm_config_user_agent: undefined };
}

/** Copies the Node that runs this into /opt/sallyport/node, once per version. Returns the program's path. */
async function layOutNode(paths: SallyportPaths): Promise<string> {
  const folder = join(paths.opt.node, process.version);
  const program = join(folder, "bin", "node");
  if (await isThere(program)) return program;
  await mkdir(paths.opt.node, { recursive: true, mode: 0o755 });
  await sweepUnfinished(paths.opt.node);
  const work = await mkdtemp(join(paths.opt.node, ".new-"));
  await mkdir(join(work, "bin"));
  await copyFile(process.execPath, join(work, "bin", "node"));
  await chmod(join(work, "bin", "node"), 0o755);
  await makeWorldReadable(work);
  await putInPlace(work, folder);
  return program;
}

/** Keeps the newest few, and whatever a running process was started from. */
async function removeOldReleases(paths: SallyportPaths, current: string): Promise<void> {
  const names = (await readdir(paths.opt.releases)).filter((name) => !name.startsWith("."));
  const dated = await Promise.all(
    names.map(async (name) => ({ name, madeAt: (await stat(join(paths.opt.releases, name))).mtimeMs })),
  );
  const old = dated.sort((a, b) => b.madeAt - a.madeAt).slice(KEPT_RELEASES);
  if (old.length === 0) return;
  const running = await wordsOfRunningProcesses();
  // A process that was started through the link does not say which release it is of.
  if (running.some((words) => words.includes(`${paths.opt.current}/`))) return;
  for (const { name } of old) {
    const place = join(paths.opt.releases, name);
    if (name === current || running.some((words) => words.includes(place))) continue;
    await rm(place, { recursive: true, force: true });
  }
}

/** Command line and working directory of every process. */
async function wordsOfRunningProcesses(): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  return Promise.all(
    pids.map(async (pid) => {
      try {
        return `${await readFile(`/proc/${pid}/cmdline`, "utf8")}\0${await readlink(`/proc/${pid}/cwd`)}`;
      } catch {
        // It has ended meanwhile, or is a kernel thread.
        return "";
      }
    }),
  );
}
