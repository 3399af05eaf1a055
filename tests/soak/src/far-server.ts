// A server in the target network for somebody who measures, and exact counts of what a flood brought there.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { TargetNetwork } from "@sallyport/testkit/target-network";

export const FAR_PORT = 8_110;
/** Datagrams to this port are counted and dropped, so that taking them costs next to nothing. */
export const SINK_PORT = 8_111;

/** Packets that came into the target network so far. */
interface Arrived {
  readonly datagrams: number;
  /** First packets of connections to the network's own TCP server. */
  readonly connections: number;
  /** Anything at all to the outside address. */
  readonly denied: number;
}

export interface FarServer extends AsyncDisposable {
  arrived(): Arrived;
}

/** A byte `e` to {@link FAR_PORT} comes back; after an `s` the server sends as fast as it can. Disposal ends it. */
export async function startFarServer(targets: TargetNetwork): Promise<FarServer> {
  const inside = (program: string, args: readonly string[], input = ""): string =>
    execFileSync("nsenter", [`--net=/run/netns/${targets.namespace}`, program, ...args], { input, encoding: "utf8" });
  inside(
    "nft",
    ["-f", "-"],
    `table inet flood {
  counter datagrams {}
  counter connections {}
  counter denied {}
  chain in {
    type filter hook prerouting priority -400;
    ip daddr ${targets.outsideIpv4} counter name denied
    udp dport ${SINK_PORT} counter name datagrams drop
    tcp dport ${targets.port} tcp flags & (syn | ack) == syn counter name connections
  }
}`,
  );
  const program = fileURLToPath(new URL("far-server-child.ts", import.meta.url));
  const child = spawn(
    "nsenter",
    [`--net=/run/netns/${targets.namespace}`, process.execPath, program, String(FAR_PORT)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const exited = once(child, "exit");
  const ended = exited.then(() => Promise.reject(new Error("the far server ended before it was ready")));
  await Promise.race([once(child.stdout, "data"), ended]);
  const counter = (name: keyof Arrived): number => {
    const [, packets = "0"] = /packets (\d+)/.exec(inside("nft", ["list", "counter", "inet", "flood", name])) ?? [];
    return Number(packets);
  };
  return {
    arrived: () => ({
      datagrams: counter("datagrams"),
      connections: counter("connections"),
      denied: counter("denied"),
    }),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await Promise.allSettled([ended]);
    },
  };
}
