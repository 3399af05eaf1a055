import { lstat, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openImages } from "./images.ts";

const DIGEST = `sha256:${"5".repeat(64)}`;
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sallyport-images-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function makeImage(name: string = DIGEST): Promise<string> {
  const rootfs = join(directory, name, "rootfs");
  await mkdir(join(rootfs, "etc"), { recursive: true });
  await writeFile(join(directory, name, "manifest.json"), JSON.stringify({ name: "default", digest: DIGEST }));
  return rootfs;
}

describe("the images of a machine", () => {
  it("are those with a manifest that fits the folder", async () => {
    const rootfs = await makeImage();
    await mkdir(join(directory, "half-made"));
    await makeImage(`sha256:${"6".repeat(64)}`);
    expect(await openImages(directory).list()).toEqual([{ name: "default", digest: DIGEST, rootfs }]);
    expect(await openImages(join(directory, "missing")).list()).toEqual([]);
  });

  it("get the mount points that they lack, once", async () => {
    const rootfs = await makeImage();
    const images = openImages(directory);
    expect(await Promise.all([images.rootfs(DIGEST), images.rootfs(DIGEST)])).toEqual([rootfs, rootfs]);
    for (const file of [".sallyport/init", "etc/hosts", "etc/hostname", "etc/resolv.conf"]) {
      expect((await lstat(join(rootfs, file))).isFile()).toBe(true);
    }
    expect((await lstat(join(rootfs, "proc"))).isDirectory()).toBe(true);
  });

  it("are refused where a mount point leads out of them", async () => {
    const rootfs = await makeImage();
    const outside = join(directory, "outside");
    await mkdir(outside);
    await rm(join(rootfs, "etc"), { recursive: true });
    await symlink(outside, join(rootfs, "etc"));
    await expect(openImages(directory).rootfs(DIGEST)).rejects.toMatchObject({ code: "BadImage" });
    await expect(lstat(join(outside, "hosts"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("are asked for again when one was not there yet", async () => {
    const images = openImages(directory);
    await expect(images.rootfs(DIGEST)).rejects.toMatchObject({ code: "BadImage" });
    const rootfs = await makeImage();
    expect(await images.rootfs(DIGEST)).toBe(rootfs);
  });
});
