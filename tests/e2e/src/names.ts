// What names mean in the tests: to the resolver of the platform's machine, and to one out in the world.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { ZoneRecord } from "@sallyport/testkit/dns-server";
import type { TargetNetwork } from "@sallyport/testkit/target-network";

type Zone = Readonly<Record<string, readonly ZoneRecord[]>>;
type Addresses = Pick<TargetNetwork, "insideIpv4" | "insideIpv6" | "hostIpv4" | "hostIpv6">;

/** So many addresses that no answer over UDP holds them. */
export const MANY = 150;

/** What the machine's own resolver says: names of the world, and names that point where no sandbox may go. */
export function worldZone(targets: Addresses): Zone {
  const a = (data: string): ZoneRecord => ({ type: "A", data });
  const aaaa = (data: string): ZoneRecord => ({ type: "AAAA", data });
  return {
    "target.example": [a(targets.insideIpv4), aaaa(targets.insideIpv6)],
    "alias.example": [{ type: "CNAME", data: "target.example" }],
    "mixed.example": [a("10.0.0.1"), a(targets.insideIpv4)],
    "many.example": Array.from({ length: MANY }, (_, index) => a(`198.51.100.${index + 10}`)),
    "private.example": [a("10.1.2.3"), aaaa("fd00:1234::1")],
    "metadata.example": [a("169.254.169.254"), aaaa("fd00:ec2::254")],
    "loopback.example": [a("127.0.0.1"), aaaa("::1")],
    "machine.example": [a(targets.hostIpv4), aaaa(targets.hostIpv6)],
    "slot.example": [a("100.64.0.2")],
    "hidden.example": [{ type: "CNAME", data: "private.example" }],
    "mapped.example": [aaaa("::ffff:10.0.0.1"), aaaa("64:ff9b::a00:1")],
  };
}

/** A resolver in the target network, which knows a name that nobody else does. Disposal ends it. */
export async function startFarResolver(targets: TargetNetwork): Promise<AsyncDisposable> {
  const zone: Zone = { "far.example": [{ type: "A", data: targets.insideIpv4 }] };
  const program = fileURLToPath(new URL("dns-server-child.ts", import.meta.url));
  const node = [process.execPath, "--conditions=@sallyport/source", program, targets.insideIpv4, JSON.stringify(zone)];
  const child: ChildProcess = spawn("nsenter", [`--net=/run/netns/${targets.namespace}`, ...node], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  if (child.stdout === null) throw new Error("no stdout");
  await Promise.race([once(child.stdout, "data"), exited.then(() => Promise.reject(new Error("the resolver ended")))]);
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}
