// Where things are: the clone, its Node 24, the cache of tools. And what child programs see of the environment.
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Root of the clone. */
export const clone = resolve(dirname(fileURLToPath(import.meta.url)), "..");

/** Node 24, as the lockfile pins it and pnpm installs it. */
export const node24 = join(clone, "node_modules", `node-linux-${process.arch}`, "bin", "node");

/** Whether this process may install things on the machine. */
export const isRoot = process.getuid?.() === 0;

/** Tools that are fetched once, outside the clone. */
export const toolsCache = isRoot ? "/var/cache/sallyport/tools" : join(homedir(), ".cache", "sallyport", "tools");

/**
 * The environment of child programs: our Node and pnpm first in PATH, and nothing of the `npm run` around us.
 * @param {string | undefined} pnpmFolder
 * @param {Record<string, string>} [extra]
 * @returns {NodeJS.ProcessEnv}
 */
export function childEnvironment(pnpmFolder, extra = {}) {
  /** @type {NodeJS.ProcessEnv} */
  const env = {};
  for (const [key, value] of Object.entries(process.env)) {
    if (
      !/^npm_(lifecycle|package|command|execpath|node_execpath|config_(local_prefix|user_agent|global_prefix))/.test(
        key,
      )
    ) {
      env[key] = value;
    }
  }
  const path = [dirname(node24), ...(pnpmFolder === undefined ? [] : [pnpmFolder]), process.env["PATH"] ?? ""];
  return { ...env, PATH: path.join(delimiter), TURBO_TELEMETRY_DISABLED: "1", ...extra };
}
