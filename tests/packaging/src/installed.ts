// Packs the public packages and lays them out as npm would install them, once for the whole run: what the tests then
// see is what users get, with no source condition and no workspace.
import { execFile } from "node:child_process";
import { realpathSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";
import type { PublicPackage } from "./manifest.ts";
import { PUBLIC_PACKAGES, readManifest, sourceFolder } from "./manifest.ts";

const run = promisify(execFile);

/** Where things lie. */
export interface Installed {
  /** A project with `node_modules`. */
  readonly project: string;
  readonly tarballs: Readonly<Record<PublicPackage, string>>;
}

declare module "vitest" {
  export interface ProvidedContext {
    installed: Installed;
  }
}

/** vitest's global set-up. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const home = await mkdtemp(join(tmpdir(), "sallyport-packaging-"));
  const remove = () => rm(home, { recursive: true, force: true });
  try {
    project.provide("installed", await install(home));
  } catch (error) {
    await remove();
    throw error;
  }
  return remove;
}

async function install(home: string): Promise<Installed> {
  const project = join(home, "project");
  const modules = join(project, "node_modules");
  const outside = new Map<string, string>();
  const tarballs: Partial<Record<PublicPackage, string>> = {};
  for (const name of PUBLIC_PACKAGES) {
    const tarball = await pack(name, join(home, name));
    tarballs[name] = tarball;
    const target = join(modules, "@sallyport", name);
    await mkdir(target, { recursive: true });
    await run("tar", ["-xzf", tarball, "-C", target, "--strip-components=1"]);
    for (const dependency of Object.keys(readManifest(target).dependencies ?? {})) {
      const path = realpathSync(join(sourceFolder(name), "node_modules", dependency));
      const other = outside.get(dependency) ?? path;
      if (other !== path) throw new Error(`two versions of ${dependency}: ${other} and ${path}`);
      outside.set(dependency, path);
    }
  }
  outside.set("@types/node", realpathSync(join(sourceFolder("sdk"), "node_modules", "@types/node")));
  for (const [dependency, path] of outside) {
    if (PUBLIC_PACKAGES.some((name) => dependency === `@sallyport/${name}`)) continue;
    const link = join(modules, dependency);
    await mkdir(dirname(link), { recursive: true });
    await symlink(path, link);
  }
  return { project, tarballs: tarballs as Record<PublicPackage, string> };
}

/** The tarball that publishing would upload: `workspace:` and `catalog:` are versions in it. */
async function pack(name: PublicPackage, destination: string): Promise<string> {
  await mkdir(destination, { recursive: true });
  await run("pnpm", ["pack", "--pack-destination", destination], { cwd: sourceFolder(name) });
  const [file, ...others] = await readdir(destination);
  if (file === undefined || others.length > 0) throw new Error(`packing ${name} left ${others.length + 1} files`);
  return join(destination, file);
}
