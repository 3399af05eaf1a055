// Servers for flows that last, in a network of their own beside the machine: each sends without being asked, and counts
// what it hears. Addresses are documentation's (RFC 5737, RFC 3849), and private ones; none is that of another run.
import { execFileSync, spawn } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** By family and protocol: bytes of TCP, datagrams of UDP. */
type Counts = Readonly<Record<"tcp4" | "tcp6" | "udp4" | "udp6", number>>;

/** Addresses in pairs, IPv4 first: two public ones, and one in private space. */
interface FarAddresses {
  readonly inside: readonly [string, string];
  readonly outside: readonly [string, string];
  readonly private: readonly [string, string];
  /** The machine's own on this link. */
  readonly host: readonly [string, string];
}

export interface FarServer extends FarAddresses, AsyncDisposable {
  /** CIDRs that hold `inside` and `outside`. */
  readonly public: readonly [string, string];
  /** CIDRs that hold `private`. */
  readonly privateNetworks: readonly [string, string];
  /** What has been heard so far. */
  received(): Promise<Counts>;
}

/** TCP and UDP at each port of each address: who comes hears something every 20 ms. Needs root. Disposal ends all. */
export async function startFarServer(ports: readonly number[]): Promise<FarServer> {
  const tag = randomBytes(3).toString("hex");
  const [namespace, link] = [`spf-${tag}`, `spf${tag}`];
  const place = randomInt(16);
  const ipv4 = (host: number) => `198.51.100.${64 + place * 8 + host}`;
  const ipv6 = (host: number) => `2001:db8:52:${place}::${host}`;
  const privateIpv4 = (host: number) => `10.51.${place}.${host}`;
  const privateIpv6 = (host: number) => `fd51:51:0:${place}::${host}`;
  const addresses: FarAddresses = {
    inside: [ipv4(2), ipv6(2)],
    outside: [ipv4(3), ipv6(3)],
    private: [privateIpv4(2), privateIpv6(2)],
    host: [ipv4(1), ipv6(1)],
  };
  await using stack = new AsyncDisposableStack();
  ip(["netns", "add", namespace]);
  stack.defer(() => ip(["netns", "del", namespace]));
  ip(["link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", namespace]);
  // By name: the kernel keeps the namespace, and in it the link, while a cut connection waits for its last answer.
  stack.defer(() => ip(["link", "del", link]));
  const join = (command: readonly string[], own: number) => {
    for (const [address, length] of [
      [ipv4(own), 29],
      [privateIpv4(own), 24],
    ]) {
      ip([...command, `${address}/${length}`]);
    }
    for (const address of [ipv6(own), privateIpv6(own)]) ip([...command, `${address}/64`, "nodad"]);
  };
  join(["addr", "add", "dev", link], 1);
  join(["-n", namespace, "addr", "add", "dev", "eth0"], 2);
  ip(["-n", namespace, "addr", "add", "dev", "eth0", `${ipv4(3)}/29`]);
  ip(["-n", namespace, "addr", "add", "dev", "eth0", `${ipv6(3)}/64`, "nodad"]);
  ip(["link", "set", link, "up"]);
  ip(["-n", namespace, "link", "set", "eth0", "up"]);
  const child = stack.use(await startChild(namespace, ports, addresses));
  const owned = stack.move();
  return {
    ...addresses,
    public: [`${ipv4(0)}/29`, `2001:db8:52:${place}::/64`],
    privateNetworks: [`10.51.${place}.0/24`, `fd51:51:0:${place}::/64`],
    received: () => child.received(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface Child extends AsyncDisposable {
  received(): Promise<Counts>;
}

async function startChild(namespace: string, ports: readonly number[], addresses: FarAddresses): Promise<Child> {
  const program = fileURLToPath(new URL("far-server-child.ts", import.meta.url));
  const at = [...addresses.inside, ...addresses.outside, ...addresses.private];
  const node = [process.execPath, program, ports.join(), ...at];
  const child = spawn("nsenter", [`--net=/run/netns/${namespace}`, ...node], { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const line = async () => {
    const { done, value } = await lines.next();
    if (done === true) throw new Error("the far server ended");
    return value;
  };
  await line();
  return {
    async received() {
      child.stdin.write("\n");
      return JSON.parse(await line()) as Counts;
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await exited;
    },
  };
}

function ip(args: readonly string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });
}
