// A sandbox's disk: a file system of bounded size in a sparse file, where runsc keeps what the sandbox writes. It is
// mounted for as long as the sandbox is being made: then the sandbox's own process holds it, and when that ends the
// kernel unmounts it and frees the loop device, whoever else is dead by then.
import { mkdir, readdir, readFile, rm, stat, statfs, truncate } from "node:fs/promises";
import { join } from "node:path";
import { CommandError, run } from "../../system/command.ts";
import type { DiskUse } from "../runtime.ts";
import { RuntimeError } from "../runtime.ts";

export interface DiskPaths {
  readonly image: string;
  readonly mountPoint: string;
}

export interface Disks {
  /** Makes a disk and mounts it. Throws RuntimeError "NoRoom" where the machine could not keep the promise. */
  make(id: string, paths: DiskPaths, sizeMiB: number): Promise<void>;
  /** Takes it out of the machine's mounts; whoever has a file of it open keeps it. */
  detach(paths: DiskPaths): Promise<void>;
  /** Undefined where there is none. */
  use(id: string, paths: DiskPaths): Promise<DiskUse | undefined>;
  /** Idempotent; to be called when no process of the sandbox is left. */
  remove(id: string, paths: DiskPaths): Promise<void>;
}

export interface DiskOptions {
  /** Where empty disks are kept to be copied; on the file system of the disks. */
  readonly templates: string;
  /** What is left of that file system for everything else. */
  readonly reserveMiB: number;
  /** How many times over the rest is promised: most disks stay nearly empty. */
  readonly overcommit: number;
}

const MIB = 1024 * 1024;
/** One file lies in it. A journal would only double the writes: nothing in it outlives the sandbox. */
const MKFS = ["-q", "-F", "-m", "0", "-N", "64", "-O", "^has_journal,^resize_inode"] as const;
/**
 * What the sandbox frees is given back to the machine at once. Not noexec: the sandbox's programs are mapped from here.
 */
const MOUNT_OPTIONS = "loop,nosuid,nodev,noatime,discard";
const LOOP_MAJOR = 7;
const FREE_DEADLINE_MS = 3_000;

export async function openDisks(options: DiskOptions): Promise<Disks> {
  await rm(options.templates, { recursive: true, force: true }); // it may be of another version, or half made
  await mkdir(options.templates, { recursive: true, mode: 0o700 });
  const templates = new Map<number, Promise<string>>();
  const promised = new Map<string, DiskUse>();
  const loops = new Map<string, number>();

  const template = (sizeMiB: number) => {
    const known = templates.get(sizeMiB) ?? makeTemplate(join(options.templates, `${sizeMiB}.img`), sizeMiB);
    templates.set(sizeMiB, known);
    known.catch(() => templates.delete(sizeMiB)); // the next one tries again
    return known;
  };

  const promise = async (id: string, sizeMiB: number) => {
    const { bavail, bsize } = await statfs(options.templates);
    const freeMiB = (bavail * bsize) / MIB - options.reserveMiB;
    promised.set(id, { sizeBytes: sizeMiB * MIB, usedBytes: 0 });
    const owed = [...promised.values()].reduce((sum, disk) => sum + disk.sizeBytes - disk.usedBytes, 0);
    if (owed / MIB / options.overcommit <= freeMiB) return;
    promised.delete(id);
    const words = `${Math.max(0, Math.floor(freeMiB))} MiB beyond the reserve of ${options.reserveMiB} MiB`;
    throw new RuntimeError("NoRoom", `the machine's disk has no room for one more of ${sizeMiB} MiB: it has ${words}`);
  };

  return {
    async make(id, paths, sizeMiB) {
      await promise(id, sizeMiB);
      await mkdir(paths.mountPoint, { mode: 0o700 });
      await tool(["cp", "--sparse=always", "--reflink=auto", await template(sizeMiB), paths.image]);
      await tool(["mount", "-t", "ext4", "-o", MOUNT_OPTIONS, paths.image, paths.mountPoint]);
      loops.set(id, await loopOf(paths.mountPoint));
    },

    detach: (paths) => tool(["umount", "--lazy", paths.mountPoint]),

    async use(id, paths) {
      const use = await imageUse(paths.image);
      if (use !== undefined) promised.set(id, use);
      return use;
    },

    async remove(id, paths) {
      while (await isMounted(paths.mountPoint)) await tool(["umount", "--lazy", paths.mountPoint]);
      const loop = loops.get(id) ?? (await findLoop(paths.image));
      // Any program of the machine that made a mount namespace of its own while the disk was mounted has a copy of that
      // mount, and holds the device for as long as it likes. What lay on the disk goes all the same.
      if (loop !== undefined && !(await isFreed(loop, paths.image))) await truncate(paths.image, 0);
      await rm(paths.image, { force: true });
      promised.delete(id);
      loops.delete(id);
    },
  };
}

async function makeTemplate(path: string, sizeMiB: number): Promise<string> {
  await tool(["truncate", "-s", `${sizeMiB}M`, path]);
  await tool(["mkfs.ext4", ...MKFS, "-E", "nodiscard,lazy_itable_init=0,root_owner=0:0", path]);
  return path;
}

async function tool(argv: readonly [string, ...string[]]): Promise<void> {
  try {
    await run(argv, { timeoutMs: 20_000 });
  } catch (error) {
    const said = error instanceof CommandError ? error.message : String(error);
    throw new RuntimeError("RuntimeFailed", `the sandbox's disk could not be made or unmounted: ${said}`, error);
  }
}

async function imageUse(image: string): Promise<DiskUse | undefined> {
  try {
    const { size, blocks } = await stat(image);
    return { sizeBytes: size, usedBytes: blocks * 512 };
  } catch {
    return undefined; // a sandbox without a disk, or one that is gone
  }
}

/** The number of the loop device under a mount point. */
async function loopOf(mountPoint: string): Promise<number> {
  const { dev } = await stat(mountPoint);
  const major = (dev >> 8) & 0xfff;
  if (major !== LOOP_MAJOR)
    throw new RuntimeError("RuntimeFailed", "the sandbox's disk is not mounted from a loop device");
  return (dev & 0xff) | ((dev >> 12) & 0xfff00);
}

async function isMounted(mountPoint: string): Promise<boolean> {
  const mounts = await readFile("/proc/self/mountinfo", "utf8");
  return mounts.split("\n").some((line) => line.split(" ")[4] === mountPoint);
}

/** Of a disk that an earlier worker made. */
async function findLoop(image: string): Promise<number | undefined> {
  const names = (await readdir("/sys/block")).filter((name) => /^loop[0-9]+$/.test(name));
  for (const name of names) {
    const loop = Number(name.slice("loop".length));
    if ((await backingFile(loop)) === image) return loop;
  }
  return undefined;
}

async function backingFile(loop: number): Promise<string | undefined> {
  try {
    return (await readFile(`/sys/block/loop${loop}/loop/backing_file`, "utf8")).trim();
  } catch {
    return undefined; // free
  }
}

/** The kernel frees a device a moment after the last file on it was closed. */
async function isFreed(loop: number, image: string): Promise<boolean> {
  const deadline = performance.now() + FREE_DEADLINE_MS;
  while ((await backingFile(loop)) === image) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return true;
}
