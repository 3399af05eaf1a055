// Makes the directory tree of a platform's state, with owners and modes. Law: nobody reads what is another's.
import { chmod, chown, lstat, mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { HostError, isNoSuchFile } from "./errors.ts";
import type { HomePaths } from "./paths.ts";
import type { SystemUsers } from "./users.ts";

interface HomeDirectory {
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Creates SALLYPORT_HOME, or puts its owners and modes right. Idempotent; needs root.
 * It makes nothing inside a directory that an unprivileged user owns: that user could swap it for a link meanwhile.
 * Throws HostError `Unsupported` where something in the way is not a directory.
 */
export async function prepareHome(home: HomePaths, users: SystemUsers): Promise<void> {
  await mkdir(dirname(home.root), { recursive: true });
  for (const directory of homeDirectories(home, users)) await ensureDirectory(directory);
}

/** The tree, parents first. Pure. */
export function homeDirectories(home: HomePaths, users: SystemUsers): readonly HomeDirectory[] {
  const { postgres, api, gateway, connectProxy, tunnelEdge, edgeGid } = users;
  const root = (path: string, mode: number): HomeDirectory => ({ path, mode, uid: 0, gid: 0 });
  return [
    root(home.root, 0o755),
    { path: home.postgres, mode: 0o700, uid: postgres.uid, gid: postgres.gid },
    { path: home.api, mode: 0o700, uid: api.uid, gid: api.gid },
    { path: home.gateway, mode: 0o700, uid: gateway.uid, gid: gateway.gid },
    { path: home.connectProxy, mode: 0o700, uid: connectProxy.uid, gid: connectProxy.gid },
    { path: home.tunnelEdge, mode: 0o700, uid: tunnelEdge.uid, gid: tunnelEdge.gid },
    root(home.worker, 0o700),
    root(home.workerInstances, 0o700),
    root(home.workerBundles, 0o700),
    root(home.workerRunsc, 0o700),
    root(home.log, 0o755),
    root(home.run, 0o755),
    { path: home.postgresSocketDir, mode: 0o2750, uid: postgres.uid, gid: api.gid },
    root(dirname(dirname(home.apiOperatorSocket)), 0o755),
    { path: dirname(home.apiOperatorSocket), mode: 0o700, uid: api.uid, gid: api.gid },
    { path: dirname(home.apiWorkerSocket), mode: 0o700, uid: api.uid, gid: api.gid },
    { path: dirname(home.apiGatewaySocket), mode: 0o2750, uid: api.uid, gid: gateway.gid },
    { path: dirname(home.apiEdgeSocket), mode: 0o2750, uid: api.uid, gid: edgeGid },
    root(dirname(home.fleetFile), 0o755),
    root(dirname(dirname(home.gatewayWorkerSocket)), 0o755),
    { path: dirname(home.gatewayWorkerSocket), mode: 0o700, uid: gateway.uid, gid: gateway.gid },
    { path: dirname(home.gatewayOpenSocket), mode: 0o2750, uid: gateway.uid, gid: edgeGid },
    // The supervisor makes these sockets itself.
    { path: home.connectHandOverDir, mode: 0o750, uid: 0, gid: tunnelEdge.gid },
  ];
}

async function ensureDirectory(directory: HomeDirectory): Promise<void> {
  const { path, mode, uid, gid } = directory;
  let found = await existing(path);
  if (found === undefined) {
    await mkdir(path, { mode: 0o700 });
    found = await lstat(path);
  }
  if (!found.isDirectory()) throw new HostError("Unsupported", `${path} is in the way: it is not a directory`);
  if (found.uid !== uid || found.gid !== gid) await chown(path, uid, gid);
  // After chown, which clears the set-group-id bit; and always, since umask has cut the mode of mkdir.
  await chmod(path, mode);
}

async function existing(path: string): Promise<Awaited<ReturnType<typeof lstat>> | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isNoSuchFile(error)) return undefined;
    throw error;
  }
}
