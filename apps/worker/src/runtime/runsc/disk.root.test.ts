import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, mkdtemp, readFile, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { run } from "../../system/command.ts";
import { openDisks } from "./disk.ts";

const SIZE_MIB = 64;

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sallyport-disk-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function made(id: string) {
  const disks = await openDisks({ templates: join(directory, "templates"), reserveMiB: 0, overcommit: 1 });
  await mkdir(join(directory, id));
  const paths = { image: join(directory, id, "disk.img"), mountPoint: join(directory, id, "disk") };
  await disks.make(id, paths, SIZE_MIB);
  return { disks, paths };
}

async function loopFiles(): Promise<string> {
  return (await run(["losetup", "--noheadings", "--list", "--output", "BACK-FILE"])).stdout;
}

describe("a disk", () => {
  it("goes with its device when nobody holds it", async () => {
    const { disks, paths } = await made("one");
    expect(await loopFiles()).toContain(paths.image);
    await disks.remove("one", paths);
    expect(await loopFiles()).not.toContain(paths.image);
    await expect(access(paths.image)).rejects.toThrow("ENOENT");
    await disks.remove("one", paths);
  });

  it("goes with what lay on it though another program of the machine has a copy of its mount", async () => {
    const { disks, paths } = await made("two");
    const holder = spawn("unshare", ["--mount", "--propagation", "private", "sh", "-c", "echo held; exec sleep 60"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    try {
      await once(holder.stdout, "data");
      await run(["dd", "if=/dev/zero", `of=${join(paths.mountPoint, "big")}`, "bs=1M", "count=32", "conv=fsync"]);
      const full = await freeBlocks();
      await disks.detach(paths);
      await disks.remove("two", paths);
      await expect(access(paths.image)).rejects.toThrow("ENOENT");
      expect(await readFile(`/proc/${holder.pid}/mountinfo`, "utf8")).toContain(paths.mountPoint); // it does hold it
      await expect.poll(freeBlocks, { timeout: 40_000, interval: 500 }).toBeGreaterThan(full);
    } finally {
      holder.kill("SIGKILL");
      await once(holder, "exit");
    }
    await expect.poll(loopFiles, { timeout: 10_000 }).not.toContain(paths.image);
  });

  /** In steps of 8 MiB: the machine's other programs write too. */
  async function freeBlocks(): Promise<number> {
    await run(["sync", "--file-system", directory]); // blocks are counted once they are written
    const { bavail, bsize } = await statfs(directory);
    return Math.round((bavail * bsize) / 8_388_608);
  }
});
