// The packages of the workspace, as far as running their tests needs to know them.
import { join } from "node:path";
import { namesIn, textOf } from "./files.js";

/**
 * @typedef {object} WorkspacePackage
 * @property {string} name
 * @property {string} folder Absolute.
 * @property {Readonly<Record<string, string>>} scripts
 */

/**
 * Every package below packages/, apps/ and tests/, and examples and bench, in this order.
 * @param {string} root
 * @returns {Promise<WorkspacePackage[]>}
 */
export async function workspacePackages(root) {
  const folders = [];
  for (const parent of ["packages", "apps", "tests"]) {
    for (const name of await namesIn(join(root, parent))) folders.push(join(root, parent, name));
  }
  folders.push(join(root, "examples"), join(root, "bench"));
  const found = await Promise.all(folders.map(readPackage));
  return found.filter((one) => one !== undefined);
}

/**
 * @param {string} folder
 * @returns {Promise<WorkspacePackage | undefined>}
 */
async function readPackage(folder) {
  const text = await textOf(join(folder, "package.json"));
  // A folder that is no package.
  if (text === undefined) return undefined;
  /** @type {{ name?: string, scripts?: Record<string, string> }} */
  const manifest = JSON.parse(text);
  return { name: manifest.name ?? folder, folder, scripts: manifest.scripts ?? {} };
}
