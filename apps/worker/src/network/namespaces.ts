// Network namespaces by name: is there one, make it, remove it, and run `ip` inside it with one process.

import { readdir, rm, stat } from "node:fs/promises";
import { CommandError, run } from "../system/command.ts";
import { NETNS_DIRECTORY } from "./addresses.ts";
import { isMissing } from "./journal.ts";

/** Whether the path is a mounted network namespace, not a file that a crash or an unmount left behind. */
export async function isNamespace(path: string): Promise<boolean> {
  try {
    const [there, ours] = await Promise.all([stat(path), stat("/proc/self/ns/net")]);
    return there.dev === ours.dev;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Makes a namespace; one that is there already stays as it is. Answers whether it was made. */
export async function makeNamespace(name: string, signal?: AbortSignal): Promise<boolean> {
  const path = `${NETNS_DIRECTORY}/${name}`;
  if (await isNamespace(path)) return false;
  await rm(path, { force: true });
  await run(["ip", "netns", "add", name], { signal });
  return true;
}

/** Takes the name away. Processes inside keep the namespace itself alive until they end. Idempotent. */
export async function removeNamespace(name: string): Promise<void> {
  const path = `${NETNS_DIRECTORY}/${name}`;
  if (await isNamespace(path)) await run(["ip", "netns", "del", name]);
  else await rm(path, { force: true });
}

/** Names under /run/netns that begin so. */
export async function namespacesNamed(prefix: string): Promise<string[]> {
  try {
    return (await readdir(NETNS_DIRECTORY)).filter((name) => name.startsWith(prefix));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Runs `ip -batch` lines, in a namespace or here. Stops at the first line that fails. */
export async function ipBatch(
  netnsPath: string | undefined,
  lines: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  const input = `${lines.join("\n")}\n`;
  if (netnsPath === undefined) await run(["ip", "-batch", "-"], { input, signal });
  else await run(["nsenter", `--net=${netnsPath}`, "ip", "-batch", "-"], { input, signal });
}

/** Removes an interface, here or in a namespace; one that is gone already is fine. */
export async function removeLink(netnsPath: string | undefined, link: string): Promise<void> {
  try {
    await ipBatch(netnsPath, [`link del dev ${link}`]);
  } catch (error) {
    if (error instanceof CommandError && /Cannot find device|No such device/.test(error.stderr)) return;
    throw error;
  }
}

/** Kernel settings by their path below /proc/sys/net. */
export type Settings = Readonly<Record<string, string>>;

/** A shell script that writes settings: names and values are ours alone, none comes from outside. */
function settingsScript(settings: Settings): string {
  return Object.entries(settings)
    .map(([path, value]) => `echo ${value} >/proc/sys/net/${path}\n`)
    .join("");
}

/** Writes settings inside a namespace, then runs `ip -batch` lines there: /proc/sys/net is that of the writer. */
export async function configureNamespace(
  netnsPath: string,
  settings: Settings,
  lines: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  const script = `set -eu\n${settingsScript(settings)}exec ip -batch -`;
  await run(["nsenter", `--net=${netnsPath}`, "sh", "-c", script], { input: `${lines.join("\n")}\n`, signal });
}
