// The bundle of a container on disk: its configuration, and copies of its own of the files that the platform mounts.
import { constants } from "node:fs";
import { chmod, copyFile, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { EtcFiles } from "../runtime.ts";
import type { DiskPaths } from "./disk.ts";
import type { OciSpec, PlatformFiles } from "./spec.ts";

/** Paths inside one bundle. */
export interface BundlePaths {
  readonly directory: string;
  readonly config: string;
  readonly files: PlatformFiles;
  /** Written by runsc once the sandbox's process exists. */
  readonly sandboxPid: string;
  readonly conmonPid: string;
  readonly disk: DiskPaths;
}

export function bundlePaths(bundlesDirectory: string, containerId: string): BundlePaths {
  const directory = join(bundlesDirectory, containerId);
  return {
    directory,
    config: join(directory, "config.json"),
    files: {
      init: join(directory, "init"),
      hosts: join(directory, "hosts"),
      hostname: join(directory, "hostname"),
      resolvConf: join(directory, "resolv.conf"),
    },
    sandboxPid: join(directory, "sandbox.pid"),
    conmonPid: join(directory, "conmon.pid"),
    disk: { image: join(directory, "disk.img"), mountPoint: join(directory, "disk") },
  };
}

/** Fills the directory of a fresh bundle. */
export async function writeBundle(paths: BundlePaths, spec: OciSpec, initProgram: string): Promise<void> {
  await Promise.all([
    writeFile(paths.config, JSON.stringify(spec), { mode: 0o600 }),
    // A copy, so that an upgrade of the program changes nothing under a running sandbox. Shared extents where possible.
    copyFile(initProgram, paths.files.init, constants.COPYFILE_FICLONE).then(() => chmod(paths.files.init, 0o555)),
    writeEtcFiles(paths, { hosts: "127.0.0.1 localhost\n::1 localhost\n", hostname: "", resolvConf: "" }),
  ]);
  // Whoever a process of the sandbox runs as may read them, whatever our own umask is.
  const { hosts, hostname, resolvConf } = paths.files;
  await Promise.all([hosts, hostname, resolvConf].map((path) => chmod(path, 0o444)));
}

/** Rewrites in place: the sandbox has the files themselves mounted, so a rename would not reach it. */
export async function writeEtcFiles(paths: BundlePaths, files: EtcFiles): Promise<void> {
  await Promise.all([
    writeFile(paths.files.hosts, files.hosts),
    writeFile(paths.files.hostname, files.hostname),
    writeFile(paths.files.resolvConf, files.resolvConf),
  ]);
}

/** A pid that a program wrote; undefined when it has not. */
export async function readPidFile(path: string): Promise<number | undefined> {
  try {
    const text = (await readFile(path, "utf8")).trim();
    return /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined; // not there: nothing was created
  }
}

export async function removeBundle(paths: BundlePaths): Promise<void> {
  await rm(paths.directory, { recursive: true, force: true });
}
