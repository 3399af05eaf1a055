// What root tests need of the machine: runsc, an image, an init, a state directory, namespaces; and proof that
// nothing of them is left.
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openImages } from "../src/runtime/images.ts";
import { run } from "../src/system/command.ts";

/** Where set-up lays programs out. */
const PROGRAMS = "/opt/sallyport";

export function findRunsc(): string {
  const given = process.env["SALLYPORT_RUNSC"];
  if (given !== undefined && given !== "") return given;
  const directory = join(PROGRAMS, "runsc");
  const versions = existsSync(directory) ? readdirSync(directory).toSorted() : [];
  const newest = versions.at(-1);
  if (newest === undefined) throw new Error("no runsc: run the set-up, or name one in SALLYPORT_RUNSC");
  return join(directory, newest, "runsc");
}

/** What hides /proc/sys/net, as set-up lays it out. */
export const HIDE_HELPER: string = join(PROGRAMS, "native/current/sallyport-hide");

export function imagesDirectory(): string {
  return process.env["SALLYPORT_IMAGES"] ?? "/var/cache/sallyport/images";
}

/** Any image of this machine. */
export async function findImage(): Promise<{ readonly digest: string; readonly rootfs: string }> {
  const images = openImages(imagesDirectory());
  const image = (await images.list())[0];
  if (image === undefined) throw new Error("no image: run the set-up, or name a directory in SALLYPORT_IMAGES");
  return { digest: image.digest, rootfs: await images.rootfs(image.digest) };
}

/** A temporary directory of root's own. */
export function makeStateDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), "sallyport-worker-"));
}

/** A network namespace with one address, as a slot has it. */
export async function makeNamespace(name: string): Promise<{ readonly path: string } & AsyncDisposable> {
  await run(["ip", "netns", "add", name]);
  for (const words of [
    ["link", "set", "lo", "up"],
    ["link", "add", "eth0", "type", "veth", "peer", "name", "peer0"],
    ["address", "add", "198.51.100.2/30", "dev", "eth0"],
    ["link", "set", "eth0", "up"],
    ["link", "set", "peer0", "up"],
  ]) {
    await run(["ip", "-n", name, ...words]);
  }
  return {
    path: `/run/netns/${name}`,
    async [Symbol.asyncDispose]() {
      await run(["ip", "netns", "delete", name]);
    },
  };
}

/** Compiles a C program of the tests' own, statically, as init is. */
export async function compileStatic(source: string, output: string): Promise<string> {
  await run(["gcc", "-static", "-O2", "-Wall", "-o", output, fileURLToPath(new URL(source, import.meta.url))]);
  return output;
}

/** Everything on the machine that names an instance or this state directory: must be empty in the end. */
export async function tracesOf(word: string): Promise<string[]> {
  const traces: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^[0-9]+$/.test(name))) {
    if (Number(pid) === process.pid) continue;
    const text = await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => ""); // ended meanwhile
    if (text.includes(word)) traces.push(`process ${pid}: ${text.replaceAll("\0", " ").slice(0, 200)}`);
  }
  const mounts = (await readFile("/proc/self/mountinfo", "utf8")).split("\n");
  traces.push(...mounts.filter((line) => line.includes(word)).map((line) => `mount ${line}`));
  for (const name of readdirSync("/sys/block").filter((block) => block.startsWith("loop"))) {
    const file = await readFile(`/sys/block/${name}/loop/backing_file`, "utf8").catch(() => ""); // free
    if (file.includes(word)) traces.push(`${name}: ${file.trim()}`);
  }
  const { stdout } = await run(["find", "/sys/fs/cgroup", "-type", "d", "-name", `*${word}*`]);
  traces.push(...stdout.split("\n").filter((line) => line !== ""));
  return traces;
}

export async function removeDirectory(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

/** Polls until the condition holds; throws with what it was about after the deadline. */
export async function eventually<T>(what: string, probe: () => Promise<T | undefined>, timeoutMs = 15_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

let counter = 0;
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** A fresh ULID-shaped word in lower case. */
export function freshUlid(): string {
  counter += 1;
  let rest = BigInt(Date.now()) * 1_000_000n + BigInt(process.pid % 1_000) * 1_000n + BigInt(counter);
  let text = "";
  for (let index = 0; index < 26; index += 1) {
    text = ALPHABET.charAt(Number(rest % 32n)) + text;
    rest /= 32n;
  }
  return text;
}
