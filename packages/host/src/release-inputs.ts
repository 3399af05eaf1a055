// What a release is made of: which workspace folders, which of their files, and the hash that names the result.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isThere } from "./atomic.ts";
import { filesBelow, hashFiles } from "./tree-hash.ts";

export interface WorkspaceFolder {
  /** "apps/api". */
  readonly path: string;
  /** "@sallyport/api". */
  readonly name: string;
  /** Names of the workspace packages that it needs at run time. */
  readonly needs: readonly string[];
}

export interface ReleaseInputs {
  /** The programs and every package that they need, sorted by path. */
  readonly folders: readonly WorkspaceFolder[];
  /** Names of the programs alone. */
  readonly programs: readonly string[];
  /** 20 hex characters. */
  readonly hash: string;
}

/** Folders with a program that the platform starts. One that is not there (yet) is left out. */
const PROGRAM_FOLDERS = [
  "apps/api",
  "apps/connect-proxy",
  "apps/gateway",
  "apps/nameserver",
  "apps/resolver",
  "apps/standalone",
  "apps/tunnel-edge",
  "apps/worker",
  "packages/cli",
];
/** Files of the root that decide what is built or installed. */
export const ROOT_FILES: readonly string[] = ["package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml"];
const ROOT_INPUTS = [...ROOT_FILES, "tsconfig.base.json"];
const OUTPUTS = new Set(["build", "dist", "node_modules", "reports"]);

/** Reads the clone, and hashes everything that a release is made of. */
export async function releaseInputs(clone: string, nodeVersion: string = process.version): Promise<ReleaseInputs> {
  const everything = await workspaceFolders(clone);
  const programs = everything.filter((folder) => PROGRAM_FOLDERS.includes(folder.path)).map((folder) => folder.name);
  const folders = closure(everything, programs);
  const files = [...ROOT_INPUTS];
  for (const folder of folders) files.push(...(await inputFiles(clone, folder.path)));
  const hash = await hashFiles(clone, files, [nodeVersion, process.arch]);
  return { folders, programs, hash: hash.slice(0, 20) };
}

/** The named packages, and all that they need. Pure. */
export function closure(folders: readonly WorkspaceFolder[], names: readonly string[]): readonly WorkspaceFolder[] {
  const byName = new Map(folders.map((folder) => [folder.name, folder]));
  const wanted = new Set<WorkspaceFolder>();
  const visit = (name: string) => {
    const folder = byName.get(name);
    if (folder === undefined || wanted.has(folder)) return;
    wanted.add(folder);
    folder.needs.forEach(visit);
  };
  names.forEach(visit);
  return [...wanted].sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function workspaceFolders(clone: string): Promise<WorkspaceFolder[]> {
  const manifests = await Promise.all(
    ["apps", "packages"].map((parent) =>
      filesBelow(join(clone, parent), (path, isDirectory) =>
        isDirectory ? !path.includes("/") : /^[^/]+\/package\.json$/.test(path),
      ).then((files) => files.map((file) => `${parent}/${file}`)),
    ),
  );
  return Promise.all(manifests.flat().map((file) => readFolder(clone, file)));
}

async function readFolder(clone: string, manifestFile: string): Promise<WorkspaceFolder> {
  const manifest = JSON.parse(await readFile(join(clone, manifestFile), "utf8")) as {
    name?: string;
    dependencies?: Record<string, string>;
  };
  const needs = Object.entries(manifest.dependencies ?? {})
    .filter(([, version]) => version.startsWith("workspace:"))
    .map(([name]) => name);
  return { path: manifestFile.replace(/\/package\.json$/, ""), name: manifest.name ?? manifestFile, needs };
}

async function inputFiles(clone: string, folder: string): Promise<string[]> {
  if (!(await isThere(join(clone, folder)))) return [];
  const files = await filesBelow(join(clone, folder), (path, isDirectory) => {
    if (isDirectory) return !OUTPUTS.has(path) && !path.startsWith(".");
    if (path.startsWith("src/")) return !path.endsWith(".test.ts");
    return path === "package.json" || /^tsconfig.*\.json$/.test(path);
  });
  return files.map((file) => `${folder}/${file}`);
}
