// Probes of names: who may ask, what may be heard, and whether data gets out by questions.
import { hostname } from "node:os";
import { type Json, type NetworkPolicy, Sandbox } from "@sallyport/sdk";
import type { Answer, Question } from "./asker.ts";
import { ASK, askAll, DNS_PORT, KNOWN_NAME, questions, TYPE, toAnswer, words } from "./asker.ts";
import { lookAround, targetsAt } from "./machine.ts";
import type { NetworkContext, NetworkProbe, Verdict } from "./probe.ts";
import { denies, isList, runForJson, type Target, textOf } from "./prober.ts";

/** Public addresses that nobody has. */
const RESOLVERS = ["198.51.100.53", "2001:db8::53"];
/** Names that lead to metadata services, to the machine, or to what is around it. */
const INWARD = [
  "metadata.google.internal",
  "metadata",
  "instance-data.ec2.internal",
  "kubernetes.default.svc.cluster.local",
  "host.docker.internal",
  "printer.local",
  "router",
  "gateway.localhost",
];

export const LOOK_UPS: readonly NetworkProbe[] = [
  {
    name: "look-ups when blocked",
    aim: "ask the resolver from a sandbox that reaches nothing",
    policy: "blocked",
    run: (context) => refusedUntilOpen(context, "blocked"),
  },
  {
    name: "look-ups beside a list",
    aim: "ask the resolver past an allow list",
    policy: { allow: ["198.51.100.16/28"] },
    run: (context) => refusedUntilOpen(context, { allow: [] }),
  },
  {
    name: "DNS tunnel",
    aim: "carry data out in questions, to any resolver, at any port of theirs",
    policy: "blocked",
    run: async (context) => {
      const { routerIpv4, routerIpv6 } = await lookAround(context.sandbox, context.signal);
      const servers = [routerIpv4, routerIpv6, ...RESOLVERS];
      const datagrams = targetsAt("udp", servers, [DNS_PORT]);
      const streams = [...targetsAt("tcp", servers, [DNS_PORT]), ...targetsAt("tcp", RESOLVERS, [853, 443])];
      return denied(context, [...datagrams, ...streams], ["blocked", "never "]);
    },
  },
  {
    name: "DNS tunnel past a list",
    aim: "carry data out in questions from a sandbox with an allow list",
    policy: { allow: [{ cidr: "198.51.100.16/28" }] },
    run: async (context) => {
      const { routerIpv4, routerIpv6 } = await lookAround(context.sandbox, context.signal);
      const servers = [routerIpv4, routerIpv6, ...RESOLVERS];
      const targets = [...targetsAt("udp", servers, [DNS_PORT]), ...targetsAt("tcp", servers, [DNS_PORT])];
      return denied(context, targets, ["unlisted", "never "]);
    },
  },
  {
    name: "resolver of another",
    aim: "ask at the address that another sandbox asks",
    run: async (context) => {
      const { client, signal } = context;
      await using other = await Sandbox.create({ client, signal, network: "open", lifetimeMs: 120_000 });
      const { routerIpv4, routerIpv6 } = await lookAround(other, signal);
      const answers = await askAll(other, await questions(other, signal, KNOWN_NAME, [TYPE.A]), signal);
      if (answers.some((answer) => typeof answer === "string")) {
        return { held: false, seen: `the other one is not answered either: ${words(answers)}` };
      }
      const ends = [routerIpv4, routerIpv6];
      const targets = [...targetsAt("udp", ends, [DNS_PORT]), ...targetsAt("tcp", ends, [DNS_PORT])];
      // Whoever asks a wrong resolver is told what those are told who have none.
      return await denied(context, targets, ["never ", "blocked"]);
    },
  },
  { name: "inward names", aim: "learn an address where no sandbox may go", run: askInward },
  {
    name: "record types",
    aim: "have answers carry anything but what programs need",
    run: async ({ sandbox, signal }) => {
      const asked = await questions(sandbox, signal, KNOWN_NAME, [TYPE.NULL, TYPE.ANY, TYPE.AXFR]);
      const answers = await askAll(sandbox, asked, signal);
      const silent = answers.filter((answer) => typeof answer === "string");
      if (silent.length > 0) return { held: false, seen: `the resolver does not answer: ${silent.join(", ")}` };
      const records = answers.filter((answer) => typeof answer !== "string" && answer.answers > 0);
      return { held: records.length === 0, seen: `${asked.length} questions, ${records.length} with records` };
    },
  },
  { name: "tightened policy", aim: "keep a flow that the policy no longer lets through", run: keepFlow },
];

function denied({ sandbox, signal }: NetworkContext, targets: readonly Target[], rules: readonly string[]) {
  return denies({ sandbox, targets, rules, signal });
}

/** Refused at once; answered once its policy is open; refused again. So it is the policy that refuses. */
async function refusedUntilOpen({ sandbox, signal }: NetworkContext, tight: NetworkPolicy): Promise<Verdict> {
  const asked = await questions(sandbox, signal, KNOWN_NAME, [TYPE.A, TYPE.TXT]);
  const isRefused = (answer: Answer) => answer === "ECONNREFUSED";
  const before = await askAll(sandbox, asked, signal);
  if (!before.every(isRefused)) return { held: false, seen: `not refused: ${words(before)}` };
  await sandbox.updateNetworkPolicy("open", { signal });
  const open = await askAll(sandbox, asked, signal);
  if (open.some((answer) => typeof answer === "string")) {
    return { held: false, seen: `an open sandbox is not answered either: ${words(open)}` };
  }
  await sandbox.updateNetworkPolicy(tight, { signal });
  const after = await askAll(sandbox, asked, signal);
  if (!after.every(isRefused)) return { held: false, seen: `not refused after it was open: ${words(after)}` };
  return { held: true, seen: `${asked.length} questions, refused; the same ones were answered when it was open` };
}

const IS_INWARD = `
import ipaddress
inward = lambda a: not ipaddress.ip_address(a).is_global or ipaddress.ip_address(a) == ipaddress.ip_address("168.63.129.16")
`;

async function askInward({ sandbox, signal, hosts }: NetworkContext): Promise<Verdict> {
  const { routerIpv4 } = await lookAround(sandbox, signal);
  const asked = [...INWARD, hostname()].flatMap((name): Question[] => [
    ["udp", routerIpv4, name, TYPE.A],
    ["udp", routerIpv4, name, TYPE.AAAA],
  ]);
  const answers = await askAll(sandbox, asked, signal);
  const silent = answers.filter((answer) => typeof answer === "string");
  if (silent.length > 0) return { held: false, seen: `the resolver does not answer: ${words(silent)}` };
  const told = answers.flatMap((answer) => (typeof answer === "string" ? [] : answer.addresses));
  const judged = `${IS_INWARD}\nimport json, sys\nprint(json.dumps([a for a in sys.argv[1:] if inward(a)]))`;
  const inward = await runForJson(sandbox, judged, told, signal);
  const wrong = [...(isList(inward) ? inward.map(textOf) : []), ...told.filter((one) => hosts.includes(one))];
  if (wrong.length > 0) return { held: false, seen: `told of ${wrong.join(", ")}` };
  return { held: true, seen: `${asked.length} questions answered, none with an address inside` };
}

const KEEP_FLOW = `${ASK}
flows = {kind: connected(kind, sys.argv[1]) for kind in ("udp", "tcp")}
ANSWER_S = 3
for s in flows.values(): s.settimeout(ANSWER_S)
for line in sys.stdin:
    print(json.dumps([ask(kind, sys.argv[1], "${KNOWN_NAME}", 1, None if line.strip() == "anew" else s) for kind, s in flows.items()]), flush=True)
`;

/** Flows to the resolver, the one thing that every platform reaches: answered, then cut, then answered on new ones alone. */
async function keepFlow({ sandbox, signal }: NetworkContext): Promise<Verdict> {
  const { routerIpv4 } = await lookAround(sandbox, signal);
  const flows = await sandbox.exec(["python3", "-c", KEEP_FLOW, routerIpv4], { signal });
  const lines = flows.stdout.lines()[Symbol.asyncIterator]();
  const next = async (word: string): Promise<readonly Answer[]> => {
    await flows.stdin.send(`${word}\n`);
    const line: IteratorResult<string, unknown> = await lines.next();
    if (line.done === true) throw new Error("the flows' program ended");
    const said = JSON.parse(line.value) as Json;
    return isList(said) ? said.map(toAnswer) : [];
  };
  const isAnswered = (answer: Answer) => typeof answer !== "string";
  const before = await next("same");
  if (!before.every(isAnswered)) return { held: false, seen: `not answered while open: ${words(before)}` };
  await sandbox.updateNetworkPolicy("blocked", { signal });
  const after = await next("same");
  if (after.some(isAnswered)) return { held: false, seen: `answered though blocked: ${words(after)}` };
  await sandbox.updateNetworkPolicy("open", { signal });
  const anew = await next("anew");
  if (!anew.every(isAnswered)) return { held: false, seen: `not answered when open again: ${words(anew)}` };
  return { held: true, seen: `open flows were answered, and cut when it was blocked: ${words(after)}` };
}
