// Probes of the network policy: what no sandbox reaches, what a blocked one and one with a list do not. Each has a sandbox
// of its own. The public addresses are documentation's (RFC 5737, RFC 3849): nobody has them.
import { type NetworkPolicy, Sandbox } from "@sallyport/sdk";
import { lookAround, targetsAt } from "./machine.ts";
import type { NetworkContext, NetworkProbe, Verdict } from "./probe.ts";
import { denies, keyOf, type Target, tryAll, untilTold } from "./prober.ts";

const PUBLIC = ["198.51.100.7", "198.51.100.77", "2001:db8::7"];
const NEVER = ["never "];
/** At a sandbox's init only the gateway may knock. */
const INIT_PORT = 10_099;
const SERVER_PORT = 8_080;
const LARGE_DATAGRAM_BYTES = 20_000;
const EVERYTHING: NetworkPolicy = { allow: ["0.0.0.0/0", "::/0"] };
const METADATA_IPV4 = [
  "169.254.169.254",
  "169.254.170.2",
  "169.254.169.253",
  "168.63.129.16",
  "100.100.100.200",
  "192.0.0.192",
];
const METADATA_IPV6 = ["fd00:ec2::254", "fd00:ec2::23", "fd00:42::42", "fd20:ce::254"];
const PRIVATE = [
  "10.0.0.1",
  "10.255.255.254",
  "172.16.0.1",
  "172.31.255.254",
  "192.168.0.1",
  "fd12:3456::1",
  "fc00::1",
];

export const REACHES: readonly NetworkProbe[] = [
  {
    name: "machine by TCP",
    aim: "reach the platform's ports at every address of the machine",
    run: (context) => denied(context, targetsAt("tcp", context.hosts, context.ports), NEVER),
  },
  {
    name: "machine by UDP",
    aim: "send datagrams to the machine",
    run: (context) => denied(context, targetsAt("udp", context.hosts, [53, 67, 123, 7_350]), NEVER),
  },
  {
    name: "machine by ICMP",
    aim: "ping the machine",
    run: (context) => denied(context, targetsAt("icmp", context.hosts, [0]), NEVER),
  },
  {
    name: "fragments",
    aim: "pass the rules in pieces of a packet",
    run: (context) => denied(context, targetsAt("udp", context.hosts, [9]), NEVER, { sendBytes: LARGE_DATAGRAM_BYTES }),
  },
  {
    name: "router",
    aim: "reach anything at the router's addresses",
    run: async (context) => {
      const { routerIpv4, routerIpv6 } = await lookAround(context.sandbox, context.signal);
      const ends = [routerIpv4, routerIpv6];
      const tcp = targetsAt("tcp", ends, [22, 853, INIT_PORT, ...context.ports.slice(0, 4)]);
      return denied(context, [...tcp, ...targetsAt("udp", ends, [67, 123])], NEVER);
    },
  },
  {
    name: "uplink",
    aim: "reach the link between the router and the machine",
    run: async (context) => {
      const { uplinkIpv6 } = await lookAround(context.sandbox, context.signal);
      // The machine's end is one of its addresses, and the router's end the one after.
      const ends = context.hosts
        .filter((address) => address.startsWith("169.254."))
        .flatMap((address) => [address, address.replace(/\d+$/, (last) => String(Number(last) + 1))]);
      const addresses = [...uplinkIpv6, ...ends];
      const ports = [22, ...context.ports.slice(0, 4)];
      return denied(context, [...targetsAt("tcp", addresses, ports), ...targetsAt("udp", addresses, [67])], NEVER);
    },
  },
  {
    name: "metadata over IPv4",
    aim: "have a cloud's metadata service hand out credentials",
    run: (context) => denied(context, targetsAt("tcp", METADATA_IPV4, [80, 443]), NEVER),
  },
  {
    name: "metadata over IPv6",
    aim: "have a cloud's metadata service hand out credentials",
    run: (context) => denied(context, targetsAt("tcp", METADATA_IPV6, [80, 443]), NEVER),
  },
  { name: "another sandbox", aim: "reach the server or the init of another sandbox", run: attackAnother },
  {
    name: "hidden IPv4",
    aim: "reach IPv4 addresses in the guise of IPv6",
    run: (context) => denied(context, disguised("169.254.169.254"), NEVER),
  },
  {
    name: "private networks",
    aim: "reach what is around the machine",
    run: (context) => denied(context, targetsAt("tcp", PRIVATE, [80, 5_432]), ["private "]),
  },
  {
    name: "broadcast",
    aim: "send to everybody on the link",
    run: (context) => denied(context, targetsAt("udp", ["255.255.255.255", "224.0.0.1"], [67, 5_353]), NEVER),
  },
  {
    name: "reserved space",
    aim: "reach carrier-grade NAT and class E",
    run: (context) => denied(context, targetsAt("tcp", ["100.127.255.254", "240.0.0.1", "192.0.0.8"], [80]), NEVER),
  },
  {
    name: "allow everything",
    aim: "open what is never reachable, or private, by a list of everything",
    policy: EVERYTHING,
    run: (context) => {
      const addresses = [...context.hosts.slice(0, 4), ...METADATA_IPV4, ...METADATA_IPV6, ...PRIVATE];
      return denied(context, targetsAt("tcp", addresses, [80]), [...NEVER, "private "]);
    },
  },
  {
    name: "blocked by TCP and UDP",
    aim: "reach anything from a sandbox that reaches nothing",
    policy: "blocked",
    run: (context) =>
      denied(
        context,
        [...targetsAt("tcp", PUBLIC, [53, 80, 443]), ...targetsAt("udp", PUBLIC, [53, 443])],
        ["blocked"],
      ),
  },
  {
    name: "blocked by ICMP",
    aim: "carry data out in pings",
    policy: "blocked",
    run: (context) => denied(context, targetsAt("icmp", PUBLIC, [0]), ["blocked"]),
  },
  {
    name: "blocked is told so",
    aim: "hang in calls that nobody answers",
    policy: "blocked",
    run: (context) =>
      denied(context, targetsAt("tcp", [...PUBLIC, ...METADATA_IPV4.slice(0, 2)], [80, 443]), ["blocked", ...NEVER], {
        answered: true,
      }),
  },
  {
    name: "allow list",
    aim: "reach more than the list names: addresses, ports, protocols, the other family",
    policy: { allow: [{ cidr: "198.51.100.16/28", protocol: "tcp", ports: [443] }] },
    run: leaveList,
  },
  {
    name: "empty list",
    aim: "reach anything by a list that names nothing",
    policy: { allow: [] },
    run: (context) => denied(context, targetsAt("tcp", PUBLIC, [80, 443]), ["unlisted"]),
  },
];

function denied(
  { sandbox, signal }: NetworkContext,
  targets: readonly Target[],
  rules: readonly string[],
  more: { readonly answered?: boolean; readonly sendBytes?: number } = {},
): Promise<Verdict> {
  return denies({ sandbox, targets, rules, signal, ...more });
}

/** TCP to port 80 of an IPv4 address, in each form of IPv6 that hides one. Pure. */
export function disguised(ipv4: string): readonly Target[] {
  const bytes = ipv4.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  const [high, low] = [bytes.slice(0, 2).join(""), bytes.slice(2).join("")];
  const forms = [`64:ff9b::${high}:${low}`, `64:ff9b:1::${high}:${low}`, `2002:${high}:${low}::1`];
  const teredo = `2001:0:${high}:${low}::1`;
  const mapped: Target = { protocol: "tcp", address: `::ffff:${ipv4}`, port: 80, arrivesAt: ipv4 };
  return [mapped, ...targetsAt("tcp", [...forms, `::ffff:0:${high}:${low}`, teredo], [80])];
}

const SERVE = `
import http.server, socket
class Server(http.server.HTTPServer): address_family = socket.AF_INET6
server = Server(("::", ${SERVER_PORT}), http.server.SimpleHTTPRequestHandler)
print("serving", flush=True)
server.serve_forever()
`;

/** Its server answers itself, so that whoever gets through meets somebody. */
async function attackAnother(context: NetworkContext): Promise<Verdict> {
  const { client, signal } = context;
  await using victim = await Sandbox.create({ client, signal, network: "open", lifetimeMs: 120_000 });
  const { ipv4, ipv6 } = await lookAround(victim, signal);
  const server = await victim.exec(["python3", "-c", SERVE], { signal });
  for await (const line of server.stdout.lines()) if (line === "serving") break;
  const own = targetsAt("tcp", [ipv4, ipv6], [SERVER_PORT]);
  const isServing = async () => (await tryAll(victim, own, signal)).every(({ outcome }) => outcome === "reached");
  if (!(await isServing())) return { held: false, seen: "the other sandbox does not reach its own server" };
  const pings = targetsAt("icmp", [ipv4, ipv6], [0]);
  const verdict = await denied(context, [...own, ...targetsAt("tcp", [ipv4, ipv6], [INIT_PORT, 22]), ...pings], NEVER);
  return (await isServing()) ? verdict : { held: false, seen: `the other sandbox no longer serves; ${verdict.seen}` };
}

/** What the list names goes out, whoever answers there: the kernel denies all but that. */
async function leaveList({ sandbox, signal }: NetworkContext): Promise<Verdict> {
  const listed: Target = { protocol: "tcp", address: "198.51.100.20", port: 443 };
  const others: readonly Target[] = [
    ...targetsAt("tcp", ["198.51.100.15", "198.51.100.32"], [443]),
    ...targetsAt("tcp", [listed.address], [442, 444]),
    ...targetsAt("udp", [listed.address], [443]),
    ...targetsAt("icmp", [listed.address], [0]),
    ...targetsAt("tcp", ["2001:db8::20"], [443]),
  ];
  const [first] = await tryAll(sandbox, [listed], signal);
  const verdict = await denies({ sandbox, targets: others, rules: ["unlisted"], signal });
  if (!verdict.held) return verdict;
  // Its denial would have been told before the others'.
  const denials = await untilTold(sandbox, others.map(keyOf), signal);
  if (denials.has(keyOf(listed))) return { held: false, seen: "what the list names was denied too" };
  return { held: true, seen: `the listed one went out (${first?.outcome ?? ""}); of others ${verdict.seen}` };
}
