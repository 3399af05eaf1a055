// Debian's programs in a sandbox of the default image: servers that nobody here wrote.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Sandbox } from "@sallyport/sdk";

const CACHE = "/var/cache/sallyport/test-packages";
/** What the sandbox has, in dpkg's words. */
const STATUS = "/var/lib/dpkg/status";
const DOWNLOAD_TIMEOUT_MS = 120_000;
const PLACE = "/tmp/packages";
/** Past dpkg, which would make a directory of a link that it finds, such as /lib. No script of a package runs. */
const UNPACK = `
for package in ${PLACE}/*.deb; do dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C /; done
rm -r ${PLACE}`;

/**
 * Unpacks these packages in a sandbox, and those that they need and it lacks. They come by this machine's apt, which has
 * to be of the sandbox's release, and are kept for the next time.
 */
export async function addPackages(sandbox: Sandbox, ...names: readonly string[]): Promise<void> {
  const folder = await packagesFor(await sandbox.fs.read(STATUS), names);
  await sandbox.fs.mkdir(PLACE);
  for (const file of await readdir(folder)) await sandbox.fs.upload(join(folder, file), `${PLACE}/${file}`);
  await sandbox.run(["sh", "-ec", UNPACK], { check: true });
}

/** A folder with the package files, named by all that they follow from. */
async function packagesFor(status: Uint8Array, names: readonly string[]): Promise<string> {
  const hash = createHash("sha256").update(status).update(names.join(" "));
  const folder = join(CACHE, hash.digest("hex"));
  await mkdir(CACHE, { recursive: true, mode: 0o755 });
  if ((await readdir(CACHE)).includes(folder.slice(CACHE.length + 1))) return folder;
  const work = await mkdtemp(join(CACHE, ".new-"));
  try {
    await writeFile(join(work, "status"), status);
    const archives = join(work, "archives");
    const partial = join(archives, "partial");
    await mkdir(partial, { recursive: true });
    await download(work, names);
    await rm(partial, { recursive: true });
    await rm(join(archives, "lock"));
    await rename(archives, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return folder;
}

async function download(work: string, names: readonly string[]): Promise<void> {
  const apt = (...args: readonly string[]) =>
    promisify(execFile)("/usr/bin/apt-get", ["--quiet", "--assume-yes", ...args], { timeout: DOWNLOAD_TIMEOUT_MS });
  // Root fetches by itself: apt's own user could not write here.
  const own = [`Dir::State::status=${join(work, "status")}`, `Dir::Cache=${work}`, "APT::Sandbox::User=root"];
  const options = own.flatMap((option) => ["--option", option]);
  const fetch = () => apt(...options, "--no-install-recommends", "--download-only", "install", ...names);
  try {
    await fetch();
  } catch {
    // Package lists that are missing, or so old that the mirror has moved on.
    await apt("update");
    await fetch();
  }
}
