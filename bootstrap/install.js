// Installs what the lockfile pins into the clone, and only where it has changed since the last time.
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BootstrapError } from "./errors.js";
import { isThere, namesIn, textOf } from "./files.js";
import { childEnvironment, clone, node24 } from "./places.js";
import { quiet } from "./programs.js";
import { Step } from "./progress.js";

const STAMP = join(clone, "node_modules", ".sallyport-install");

/**
 * @param {string} pnpmFolder
 * @returns {Promise<void>}
 */
export async function ensureInstalled(pnpmFolder) {
  const wanted = await inputsHash(clone);
  if ((await textOf(STAMP)) === wanted && (await isThere(node24))) return;
  const step = new Step(
    "install the packages that pnpm-lock.yaml pins",
    "Node 24, compiler, test runner and libraries; no install script runs",
  );
  const result = await quiet(join(pnpmFolder, "pnpm"), ["install", "--frozen-lockfile", "--reporter=append-only"], {
    cwd: clone,
    env: childEnvironment(pnpmFolder, { CI: "1" }),
    onLine: (line) => step.note(line),
  });
  if (result.exitCode !== 0 || !(await isThere(node24))) {
    step.failed();
    throw new BootstrapError("The packages could not be installed (see above). Is npm's registry reachable from here?");
  }
  await writeFile(STAMP, wanted);
  step.done();
}

/**
 * Hash over everything that decides what is installed.
 * @param {string} root
 * @returns {Promise<string>}
 */
export async function inputsHash(root) {
  const hash = createHash("sha256").update(process.arch);
  const files = ["package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml"];
  for (const parent of ["packages", "apps", "tests"]) {
    for (const name of await namesIn(join(root, parent))) files.push(join(parent, name, "package.json"));
  }
  files.push(join("examples", "package.json"), join("bench", "package.json"));
  for (const file of files) hash.update(`${file}\n${(await textOf(join(root, file))) ?? ""}\n`);
  return hash.digest("hex");
}
