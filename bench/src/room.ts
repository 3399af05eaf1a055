// What the figures of one run share: two platforms (one as it is installed, one that starts every sandbox cold), and
// the peers.
import { defaultImage, sallyportPaths, usableRunsc } from "@sallyport/host";
import { Client } from "@sallyport/sdk";
import type { PlatformOptions, TestPlatform } from "@sallyport/testkit/platform";
import { startPlatform } from "@sallyport/testkit/platform";
import type { DockerPeer } from "./docker-peer.ts";
import { startDockerPeer } from "./docker-peer.ts";
import type { RunscPeer } from "./runsc-peer.ts";
import { startRunscPeer } from "./runsc-peer.ts";

/** How a benchmark is run. */
export interface Run {
  /** A line for whoever watches. */
  say(line: string): void;
  /** Part of it failed; the rest goes on. */
  failed(part: string, error: unknown): void;
  /** Aborted when it shall stop; it then cleans up and rejects. */
  readonly signal: AbortSignal;
}

/** A platform and a client of a workspace of its own. */
export interface Side extends AsyncDisposable {
  readonly platform: TestPlatform;
  readonly client: Client;
}

export interface Room extends Run, AsyncDisposable {
  /** As a default installation has it: with sandboxes held ready. */
  readonly ours: Side;
  /** With nothing held ready. */
  readonly cold: Side;
  readonly runsc: RunscPeer;
  /** undefined where none can be had. */
  readonly docker: DockerPeer | undefined;
}

/** Room for as many as are asked for, on a machine of any size: the peers promise nothing, either. */
const ROOMY = {
  SALLYPORT_MAX_INSTANCES: "500",
  SALLYPORT_CPU_OVERCOMMIT: "250",
  SALLYPORT_MEMORY_OVERCOMMIT: "10",
} as const;

/** Nothing is held ready. */
export const COLD = { ...ROOMY, SALLYPORT_WARM_POOL: "0" } as const;

export async function startSide(env: NonNullable<PlatformOptions["env"]>): Promise<Side> {
  await using stack = new AsyncDisposableStack();
  const platform = stack.use(await startPlatform({ env }));
  const { token } = await platform.createWorkspace("bench");
  const client = stack.use(new Client({ url: platform.apiUrl, token }));
  const running = stack.move();
  return { platform, client, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

export async function startRoom(run: Run): Promise<Room> {
  const { say } = run;
  await using stack = new AsyncDisposableStack();
  const paths = sallyportPaths();
  const { path } = await usableRunsc(paths);
  const { rootfs } = await defaultImage(paths);
  say("starting two platforms (one that holds nothing ready), runsc and a Docker engine");
  const ours = stack.use(await startSide(ROOMY));
  const cold = stack.use(await startSide(COLD));
  const runsc = stack.use(await startRunscPeer(path, rootfs));
  const docker = await startDockerPeer(path, rootfs, say);
  if (docker !== undefined) stack.use(docker);
  const running = stack.move();
  return { ...run, ours, cold, runsc, docker, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** Does part of a benchmark; where it fails, that is told, and the rest goes on. */
export async function attempt({ failed }: Run, name: string, work: () => PromiseLike<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    failed(name, error);
  }
}

/** Waits; rejects when the run shall stop. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
}
