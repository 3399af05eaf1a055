// A Unix socket that an edge listens at: never another process's, and not stopped by what a killed predecessor left.
import { chmod, lstat, rm } from "node:fs/promises";
import type { Server } from "node:net";
import { connect } from "node:net";

/**
 * Listens at a path, in the end with this mode; until then the process's mask and its directory keep others out. Rejects
 * where another process answers at it, and where something else than a socket is.
 */
export async function listenAtOwnSocket(server: Server, path: string, mode: number): Promise<void> {
  if (await isThere(path)) {
    if (await isAnswered(path)) throw new Error(`another edge runs in this folder: it answers at ${path}`);
    await rm(path, { force: true });
  }
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ path }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  await chmod(path, mode);
}

async function isThere(path: string): Promise<boolean> {
  try {
    if ((await lstat(path)).isSocket()) return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
  throw new Error(`${path} is no socket`);
}

/** Whether somebody listens at it. */
export function isAnswered(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = connect({ path });
  probe.once("connect", () => resolve(true));
  probe.once("error", () => resolve(false));
  return promise.finally(() => probe.destroy());
}
