// What 1 GiB through an edge costs it in CPU time, down and up, over one connection and over 64, in the clear and over TLS.
import type { Front } from "./front.ts";
import type { Run } from "./room.ts";
import type { Result } from "./stats.ts";
import { compare } from "./stats.ts";
import { sendBytes } from "./tunnel-load.ts";
import { startOurs } from "./tunnel-ours.ts";
import type { PeerOptions } from "./tunnel-peers.ts";
import { startHaproxy, startNginx } from "./tunnel-peers.ts";
import type { TunnelWorld } from "./tunnel-world.ts";
import { inTurns } from "./turns.ts";

const ROUNDS = { rounds: 5, warmUps: 1 };
const BYTES = 1024 ** 3;
const TARGETS = { raw: 1.2, tls: 1.25 } as const;

/** Over so many connections at once. Over one, beside more of what the peers can be told. */
export function benchRaw(streams: number) {
  return async (run: Run, world: TunnelWorld): Promise<Result[]> => {
    await using stack = new AsyncDisposableStack();
    const haproxy = async (options: Omit<PeerOptions, "tls">) => {
      return stack.use(await startHaproxy(world, { ...options, tls: false }));
    };
    const nginx = async (to: PeerOptions["to"]) => stack.use(await startNginx(world, { to, tls: false }));
    const ours = stack.use(await startOurs(world, { tls: false }));
    const haproxies = {
      "HAProxy, by a Unix socket to the app": await haproxy({ to: "unix" }),
      "HAProxy, by TCP to the app": await haproxy({ to: "tcp" }),
    };
    const others: Record<string, Front> = {
      "HAProxy told to splice, by a Unix socket": await haproxy({ to: "unix", splices: true }),
      "nginx, by a Unix socket to the app": await nginx("unix"),
    };
    if (streams === 1) {
      others["HAProxy told to splice, by TCP"] = await haproxy({ to: "tcp", splices: true });
      others["nginx, by TCP to the app"] = await nginx("tcp");
    }
    return await besideAll(run, world, { name: "raw", streams, ours, haproxies, others });
  };
}

/** The same over TLS 1.3. */
export function benchTls(streams: number) {
  return async (run: Run, world: TunnelWorld): Promise<Result[]> => {
    await using stack = new AsyncDisposableStack();
    const haproxy = async (to: PeerOptions["to"]) => stack.use(await startHaproxy(world, { to, tls: true }));
    const ours = stack.use(await startOurs(world, { tls: true }));
    const haproxies = {
      "HAProxy, by a Unix socket to the app": await haproxy("unix"),
      "HAProxy, by TCP to the app": await haproxy("tcp"),
    };
    const nginx = stack.use(await startNginx(world, { tls: true, to: "unix" }));
    const others = { "nginx, by a Unix socket to the app": nginx };
    return await besideAll(run, world, { name: "tls", streams, ours, haproxies, others });
  };
}

interface Sides {
  readonly name: keyof typeof TARGETS;
  readonly streams: number;
  readonly ours: Front;
  /** The target is that of the cheaper one. */
  readonly haproxies: Readonly<Record<string, Front>>;
  readonly others: Readonly<Record<string, Front>>;
}

async function besideAll(run: Run, world: TunnelWorld, sides: Sides): Promise<Result[]> {
  const { haproxies, name, others, ours, streams } = sides;
  const results: Result[] = [];
  for (const way of ["down", "up"] as const) {
    const whole = `${name}-${streams}-${way}`;
    const fronts = [ours, ...Object.values(haproxies), ...Object.values(others)];
    const costs = await inTurns(run, whole, ROUNDS, fronts, async (front) => {
      const before = front.cpuMs();
      await sendBytes(world, { place: front, tls: name === "tls" }, { way, streams, bytes: BYTES / streams });
      return front.cpuMs() - before;
    });
    const beside = (peers: Readonly<Record<string, Front>>, target?: number) =>
      Object.entries(peers)
        .map(([peerName, front]) =>
          compare({
            name: `tunnel/${whole}`,
            unit: "ms",
            ours: costs(ours),
            peerName,
            peer: costs(front),
            ...(target === undefined ? {} : { target }),
          }),
        )
        .toSorted((one, other) => (one.peer ?? 0) - (other.peer ?? 0));
    const [judged] = beside(haproxies, TARGETS[name]);
    const rest = beside({ ...haproxies, ...others }).filter(({ peerName }) => peerName !== judged?.peerName);
    results.push(...(judged === undefined ? [] : [judged]), ...rest);
  }
  return results;
}
