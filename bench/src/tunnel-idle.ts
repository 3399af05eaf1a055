// What an edge needs to hold 10,000 connections over which nothing goes: its memory with all of them, and by how much each
// one raised it.
import { readFileSync } from "node:fs";
import type { Front } from "./front.ts";
import type { Run } from "./room.ts";
import { pause } from "./room.ts";
import type { Result } from "./stats.ts";
import { alone, compare } from "./stats.ts";
import { hold } from "./tunnel-load.ts";
import { startOurs } from "./tunnel-ours.ts";
import { startHaproxy, startNginx } from "./tunnel-peers.ts";
import type { TunnelWorld } from "./tunnel-world.ts";

/** Where a process may have files for so many; else as many as it may, and the figure is scaled. */
const CONNECTIONS = 10_000;
/** Beside two for each connection. */
const SPARE_FILES = 1_000;
/** For what starting, and what opening left behind to be given back. */
const EMPTY_SETTLE_MS = 4_000;
const SETTLE_MS = 10_000;
const TARGET_MIB = 300;

interface Held {
  readonly emptyMiB: number;
  /** By how much each connection raised that. */
  readonly eachMiB: number;
}

export function benchIdle({ tls }: { readonly tls: boolean }) {
  return async (run: Run, world: TunnelWorld): Promise<Result[]> => {
    const count = Math.min(CONNECTIONS, Math.floor((maxOpenFiles() - SPARE_FILES) / 2));
    const part = `idle-${tls ? "tls" : "raw"}`;
    run.say(`${part}: ${count} connections`);
    const measure = async (starting: Promise<Front>): Promise<Held> => {
      await using front = await starting;
      const held = await memoryOf(run, world, front, { tls, count });
      run.say(`${part}: ${front.name}: ${held.emptyMiB} MiB, and ${held.eachMiB * count} MiB more with them`);
      return held;
    };
    const peerOptions = { tls, to: "unix", connections: count } as const;
    const ours = await measure(startOurs(world, { tls }));
    const peers = {
      "HAProxy, by a Unix socket to the app": await measure(startHaproxy(world, peerOptions)),
      "nginx, by a Unix socket to the app": await measure(startNginx(world, peerOptions)),
    };
    const name = `tunnel/${part}`;
    const all = ({ eachMiB, emptyMiB }: Held) => [emptyMiB + eachMiB * CONNECTIONS];
    const each = ({ eachMiB }: Held) => [eachMiB * 1_024];
    const because = `the bound is of the process, with ${CONNECTIONS} connections`;
    const results = [alone({ name, unit: "MiB", ours: all(ours), because, target: TARGET_MIB })];
    for (const [peerName, held] of Object.entries(peers)) {
      results.push(compare({ name, unit: "MiB", ours: all(ours), peerName, peer: all(held) }));
      results.push(compare({ name: `${name}-each`, unit: "KiB", ours: each(ours), peerName, peer: each(held) }));
    }
    return results;
  };
}

async function memoryOf(
  { signal }: Run,
  world: TunnelWorld,
  front: Front,
  { count, tls }: { readonly count: number; readonly tls: boolean },
): Promise<Held> {
  await pause(EMPTY_SETTLE_MS, signal);
  const emptyMiB = front.memoryMiB();
  await using _held = await hold(world, { place: front, tls }, count);
  await pause(SETTLE_MS, signal);
  return { emptyMiB, eachMiB: (front.memoryMiB() - emptyMiB) / count };
}

/** The hard limit of this process, and so of those it starts. */
function maxOpenFiles(): number {
  const [, hard = ""] = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  return hard === "unlimited" ? Number.POSITIVE_INFINITY : Number(hard);
}
