// Processes of the host as /proc shows them. Numbers are reused, so a process is known by number and start together.
import { readdir, readFile } from "node:fs/promises";
import type { ProcessIdentity } from "../runtime.ts";

/** The process that has this number now; undefined when there is none or only its exit status is left. */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  let stat: string;
  try {
    stat = await readFile(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined; // no such process
  }
  // The name, in parentheses, may itself hold spaces and parentheses: fields are counted from its end.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  const startTicks = Number(fields[19]);
  if (state === "Z" || state === "X" || !Number.isSafeInteger(startTicks)) return undefined;
  return { pid, startTicks };
}

export async function isAlive(process: ProcessIdentity): Promise<boolean> {
  return (await identify(process.pid))?.startTicks === process.startTicks;
}

/** Whether any process has this number: costs a fiftieth of asking for its identity. */
export function isTaken(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** Sends SIGKILL, if the process is still the one that was meant. */
export async function killProcess(process: ProcessIdentity): Promise<void> {
  if (await isAlive(process)) killPid(process.pid);
}

export function killPid(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error) || error.code !== "ESRCH") throw error;
  }
}

/**
 * Processes that have the word as an argument or as a part of a path in one. Costs a read per process of the machine.
 * Words are ids of ours, of fixed length: no tenant's process has an argument list on the host.
 */
export async function processesNaming(word: string): Promise<ProcessIdentity[]> {
  const pids = (await readdir("/proc")).filter((name) => /^[0-9]+$/.test(name)).map(Number);
  const found: ProcessIdentity[] = [];
  await Promise.all(
    pids.map(async (pid) => {
      if (pid === process.pid || !(await names(pid, word))) return;
      const identity = await identify(pid);
      if (identity !== undefined) found.push(identity);
    }),
  );
  return found;
}

async function names(pid: number, word: string): Promise<boolean> {
  try {
    const argv = (await readFile(`/proc/${pid}/cmdline`, "latin1")).split("\0");
    return argv.some((argument) => argument.split(/[/=]/).includes(word));
  } catch {
    return false; // ended meanwhile
  }
}
