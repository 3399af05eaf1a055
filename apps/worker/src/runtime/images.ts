// The images of this machine: which there are, and whether one may be started from. Their content is a stranger's.
import { lstat, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { MOUNT_POINTS } from "./runsc/spec.ts";
import { RuntimeError } from "./runtime.ts";

interface Image {
  readonly name: string;
  /** "sha256:" and 64 hexadecimal digits. */
  readonly digest: string;
  readonly rootfs: string;
}

export interface Images {
  /** Every image that lies ready. */
  list(): Promise<readonly Image[]>;
  /** The root file system of a digest, made ready for sandboxes. Throws RuntimeError "BadImage". */
  rootfs(digest: string): Promise<string>;
  /** It has been removed. */
  forget(digest: string): void;
}

const manifestShape = z.object({ name: z.string().min(1), digest: z.string().regex(/^sha256:[0-9a-f]{64}$/) });

/** `directory` has the platform's own images; `made`, in the same layout, those that were made for workspaces. */
export function openImages(directory: string, made?: string): Images {
  const admitted = new Map<string, Promise<string>>();
  const listIn = async (place: string) => {
    const names = await readdir(place).catch(() => []); // not made yet: no image
    const images = await Promise.all(names.map((name) => readImage(join(place, name), name)));
    return images.filter((image) => image !== undefined);
  };
  const find = async (digest: string) => {
    const own = made === undefined ? undefined : await readImage(join(made, hexOf(digest)), hexOf(digest));
    return own ?? (await listIn(directory)).find((candidate) => candidate.digest === digest);
  };
  const admit = async (digest: string) => {
    const image = await find(digest);
    if (image === undefined) throw new RuntimeError("BadImage", `the image ${digest} is not on this machine`);
    await makeMountPoints(image.rootfs);
    return image.rootfs;
  };
  return {
    list: () => listIn(directory),
    forget: (digest) => admitted.delete(digest),
    rootfs(digest) {
      const known = admitted.get(digest) ?? admit(digest);
      admitted.set(digest, known);
      known.catch(() => admitted.delete(digest)); // it may come yet
      return known;
    },
  };
}

function hexOf(digest: string): string {
  return digest.slice("sha256:".length);
}

async function readImage(path: string, name: string): Promise<Image | undefined> {
  try {
    const manifest = manifestShape.parse(JSON.parse(await readFile(join(path, "manifest.json"), "utf8")));
    if (name !== manifest.digest && name !== hexOf(manifest.digest)) return undefined;
    return { ...manifest, rootfs: join(path, "rootfs") };
  } catch {
    return undefined; // half made, or not an image
  }
}

/**
 * Makes the mount points that are missing, once and before any sandbox shares the file system: runsc would make them
 * itself, under running sandboxes. No part of their paths may be a link, which could lead out of the image.
 */
async function makeMountPoints(rootfs: string): Promise<void> {
  for (const path of MOUNT_POINTS.directories) await makeInside(rootfs, path, "directory");
  for (const path of MOUNT_POINTS.files) await makeInside(rootfs, path, "file");
}

async function makeInside(rootfs: string, path: string, kind: "directory" | "file"): Promise<void> {
  const parts = path.split("/").filter((part) => part !== "");
  let current = rootfs;
  for (const [index, part] of parts.entries()) {
    current = join(current, part);
    const isLast = index === parts.length - 1;
    const wanted = isLast ? kind : "directory";
    await make(current, wanted);
    const found = await lstat(current);
    if (wanted === "file" ? !found.isFile() : !found.isDirectory()) {
      throw new RuntimeError("BadImage", `${path} in the image is not a plain ${wanted}`);
    }
  }
}

/** Leaves alone what is there, whatever it is. */
async function make(path: string, kind: "directory" | "file"): Promise<void> {
  try {
    await (kind === "file" ? writeFile(path, "", { flag: "wx", mode: 0o644 }) : mkdir(path, { mode: 0o755 }));
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "EEXIST") throw error;
  }
}
