// Probes that use the network as fast as they can: what is denied, connections, packets, look-ups. Each has a sandbox of its
// own, and somebody else is watched all the while.
import { setTimeout as delay } from "node:timers/promises";
import { Sandbox } from "@sallyport/sdk";
import { ASK } from "./asker.ts";
import { lookAround } from "./machine.ts";
import type { NetworkContext, NetworkProbe, Verdict } from "./probe.ts";
import { runForJson } from "./prober.ts";

const FLOOD_S = 6;
/** How often the neighbour is asked meanwhile. */
const WATCH_MS = 500;
/** Told of one sandbox in a minute, at most; a flood and what follows may touch two of them. */
const MAX_TOLD = 2 * 100;
/** How long the last sums may take to be told. */
const TOLD_MS = 4_000;
/** Connections to the resolver that one sandbox tries to hold. */
const HOARD = 300;

/** Python: ends by itself; the last line is JSON: how often it tried. */
const DENIAL_FLOOD = `
import json, socket, time
until, sent = time.monotonic() + ${FLOOD_S}, 0
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while time.monotonic() < until:
    sent += 1
    try: s.sendto(b"x" * 64, ("198.51.100.%d" % (sent % 250 + 1), sent % 60000 + 1))
    except OSError: pass
print(json.dumps(sent))`;

const CONNECTION_FLOOD = `
import json, socket, time
until, tried = time.monotonic() + ${FLOOD_S}, 0
while time.monotonic() < until:
    held = []
    for _ in range(200):
        tried += 1
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.setblocking(False)
        s.connect_ex(("198.51.100.%d" % (tried % 250 + 1), tried % 60000 + 1))
        held.append(s)
    for s in held: s.close()
print(json.dumps(tried))`;

const PACKET_FLOOD = `
import json, os, socket, sys, time
until = time.monotonic() + ${FLOOD_S}
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 9))
first, sent = os.getpid(), 0
for _ in range(2): os.fork()
while time.monotonic() < until:
    sent += 1
    try: s.send(b"x" * 18)
    except OSError: pass
if os.getpid() != first: os._exit(0)
print(json.dumps(sent))`;

const LOOK_UP_FLOOD = `${ASK}
import time
until, sent = time.monotonic() + ${FLOOD_S}, 0
s = connected("udp", sys.argv[1])
while time.monotonic() < until:
    sent += 1
    try: s.send(question("%08d.localhost" % sent, 1, sent & 0xffff))
    except OSError: pass
print(json.dumps(sent))`;

const HOARD_CONNECTIONS = `${ASK}
import time
held = []
for _ in range(${HOARD}):
    try: held.append(connected("tcp", sys.argv[1]))
    except OSError: pass
until = time.monotonic() + ${FLOOD_S}
while time.monotonic() < until: time.sleep(0.1)
print(json.dumps(len(held)))`;

const ASK_BOTH = `${ASK}
print(json.dumps([ask(kind, sys.argv[1], "localhost", 1) for kind in ("udp", "tcp")]))
`;

export const FLOODS: readonly NetworkProbe[] = [
  {
    name: "denial flood",
    aim: "drown the platform in denials",
    policy: "blocked",
    run: (context) => flood(context, DENIAL_FLOOD, [], boundedTelling),
  },
  {
    name: "connection flood",
    aim: "use up the kernel's table of connections",
    policy: "blocked",
    run: (context) => flood(context, CONNECTION_FLOOD, [], boundedTelling),
  },
  {
    name: "packet flood",
    aim: "use up the machine with packets",
    run: (context) => flood(context, PACKET_FLOOD, [context.hosts[0] ?? "169.254.169.254"], boundedTelling),
  },
  {
    name: "look-up flood",
    aim: "leave others without names",
    run: (context) => floodResolver(context, LOOK_UP_FLOOD),
  },
  {
    name: "connections hoarded",
    aim: "leave others without a connection to the resolver",
    run: (context) => floodResolver(context, HOARD_CONNECTIONS),
  },
];

type After = (context: NetworkContext) => Promise<Verdict>;

/** Held where nothing was wrong with the neighbour meanwhile, the flooder is still driven, and `after` holds. */
async function flood(
  context: NetworkContext,
  python: string,
  args: readonly string[],
  after: After,
  watch: () => Promise<string | undefined> = () => context.neighbour.check(context.signal),
): Promise<Verdict> {
  const { sandbox, signal } = context;
  let over = false;
  const flooding = runForJson(sandbox, python, args, signal).finally(() => {
    over = true;
  });
  const watching = (async () => {
    let asked = 0;
    for (;;) {
      const harm = await watch();
      if (harm !== undefined) return { asked, harm };
      asked += 1;
      if (over) return { asked };
      await delay(WATCH_MS, undefined, { signal });
    }
  })();
  const [tried, watched] = await Promise.all([flooding, watching]);
  if (typeof tried !== "number" || tried === 0) return { held: false, seen: "the flood did not begin" };
  if ("harm" in watched) return { held: false, seen: `during ${tried} attempts: ${watched.harm}` };
  const { stdout } = await sandbox.run(["echo", "here"], { signal });
  if (stdout !== "here\n") return { held: false, seen: "it can no longer be driven" };
  const verdict = await after(context);
  return {
    held: verdict.held,
    seen: `${tried} attempts, ${watched.asked} answers to others meanwhile; ${verdict.seen}`,
  };
}

/** Denials are told, in few words. */
async function boundedTelling({ sandbox, signal }: NetworkContext): Promise<Verdict> {
  await delay(TOLD_MS, undefined, { signal });
  let told = 0;
  let packets = 0;
  for await (const { type, detail } of sandbox.events({ signal })) {
    if (type !== "network_denied" || typeof detail !== "object" || detail === null) continue;
    const { count, more } = detail as Readonly<Record<string, unknown>>;
    told += 1;
    packets += Number(count ?? more ?? 0);
  }
  return { held: told > 0 && told <= MAX_TOLD && packets > told, seen: `${packets} denials told in ${told} events` };
}

/** Another open sandbox asks all the while, over UDP and TCP, and must be answered. */
async function floodResolver(context: NetworkContext, python: string): Promise<Verdict> {
  const { client, sandbox, signal } = context;
  await using other = await Sandbox.create({ client, signal, network: "open", lifetimeMs: 120_000 });
  const own = await lookAround(sandbox, signal);
  const others = await lookAround(other, signal);
  const watch = async () => {
    const answers = await runForJson(other, ASK_BOTH, [others.routerIpv4], signal);
    const isAnswered = Array.isArray(answers) && answers.every((answer) => Array.isArray(answer));
    return isAnswered ? undefined : `another sandbox is not answered: ${JSON.stringify(answers)}`;
  };
  const after: After = () => Promise.resolve({ held: true, seen: "the resolver answers others" });
  return await flood(context, python, [own.routerIpv4], after, watch);
}
