// pnpm 12: a native program from npm's registry, checked against a pinned hash before it is unpacked, kept outside the clone.
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { BootstrapError } from "./errors.js";
import { isThere } from "./files.js";
import { clone, toolsCache } from "./places.js";
import { quiet } from "./programs.js";
import { Step } from "./progress.js";

/**
 * The folder that has `pnpm` in it; fetched where it is not there.
 * @returns {Promise<string>}
 */
export async function ensurePnpm() {
  const name = `@pnpm/exe.linux-${process.arch}`;
  const pin = await pinOf(name);
  const folder = join(toolsCache, `${name.replace("/", "-").replace("@", "")}-${pin.version}`);
  if (await isThere(join(folder, "pnpm"))) return folder;
  const step = new Step(
    `fetch pnpm ${pin.version} from npm's registry`,
    "it installs what the lockfile pins, Node 24 among it",
  );
  try {
    await fetchTo(folder, `${name}@${pin.version}`, pin.integrity, step);
    step.done();
    return folder;
  } catch (error) {
    step.failed(error instanceof Error ? error.message : String(error));
    throw new BootstrapError(
      "pnpm could not be fetched (see above). It comes from npm's registry, as npm is configured here.",
    );
  }
}

/**
 * The pin of a tool; package.json names the version, pins.json its hash: both must speak of the same one.
 * @param {string} name
 */
async function pinOf(name) {
  /** @type {Record<string, { version: string, integrity: string }>} */
  const pins = JSON.parse(await readFile(join(clone, "bootstrap", "pins.json"), "utf8"));
  /** @type {{ packageManager: string }} */
  const manifest = JSON.parse(await readFile(join(clone, "package.json"), "utf8"));
  const pin = pins[name];
  if (pin === undefined || manifest.packageManager !== `pnpm@${pin.version}`) {
    throw new BootstrapError(
      `bootstrap/pins.json has no hash of ${name} for ${manifest.packageManager}, which package.json names`,
    );
  }
  return pin;
}

/**
 * @param {string} folder
 * @param {string} spec
 * @param {string} integrity
 * @param {Step} step
 */
async function fetchTo(folder, spec, integrity, step) {
  await mkdir(toolsCache, { recursive: true });
  const work = await mkdtemp(join(toolsCache, ".new-"));
  try {
    const onLine = (/** @type {string} */ line) => step.note(line);
    const packed = await quiet("npm", ["pack", "--ignore-scripts", "--pack-destination", work, spec], {
      cwd: work,
      onLine,
    });
    const file = (await readdir(work)).find((entry) => entry.endsWith(".tgz"));
    if (packed.exitCode !== 0 || file === undefined)
      throw new Error(`npm pack ${spec} ended with status ${packed.exitCode}`);
    const found = integrityOf(await readFile(join(work, file)));
    if (found !== integrity) throw new Error(`${spec} has ${found}, but ${integrity} is pinned: it is thrown away`);
    const unpack = await quiet("tar", ["-xzf", file, "--no-same-owner"], { cwd: work, onLine });
    if (unpack.exitCode !== 0) throw new Error(`tar ended with status ${unpack.exitCode}`);
    await rename(join(work, "package"), folder).catch(async (/** @type {NodeJS.ErrnoException} */ error) => {
      // Another set-up was faster: what it has put there passed the same check.
      if (!(await isThere(join(folder, "pnpm")))) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * Subresource integrity of some bytes, as lockfiles write it.
 * @param {Uint8Array} bytes
 */
export function integrityOf(bytes) {
  return `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
}
