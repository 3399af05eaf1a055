// Tries destinations from inside a sandbox, and has the kernel of its machine say which of them it denied: a port at which
// nobody listens looks much like a wall, and proves nothing.
import { SocketAddress } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Json, Sandbox } from "@sallyport/sdk";
import type { Verdict } from "./probe.ts";

export interface Target {
  readonly protocol: "tcp" | "udp" | "icmp";
  readonly address: string;
  /** 0 for ICMP. */
  readonly port: number;
  /** Where the sandbox's own network sends what goes to `address`, if elsewhere: an IPv4-mapped address goes out as IPv4. */
  readonly arrivesAt?: string;
}

/** What the sandbox saw. */
export interface Attempt {
  readonly target: Target;
  /** `reached`, `silence`, or the name of the error, e.g. `ECONNREFUSED`. */
  readonly outcome: string;
}

/** What the kernel told of one destination. */
export interface Denial {
  readonly destination: string;
  readonly rule: string;
}

/** At one time: the platform tells of at most 20 destinations in a second, one by one. */
const BATCH = 14;
/** How long denials may take to be told, in milliseconds. */
const TOLD_MS = 20_000;
const POLL_MS = 250;
/** How long an answer may take, in seconds: whoever is refused waits for none of it. */
const ANSWER_S = 3;
const PROBER_MS = 60_000;
const SHOWN = 4;

/**
 * Reaches first what it can reach, a server of its own: a prober that finds nothing there finds nothing anywhere. What it
 * sends is a question for a name's TXT record with data in the name, which every resolver understands.
 */
const PROBER = `
import concurrent.futures, errno, json, os, socket, struct, sys, threading
question = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + b"\\x20" + os.urandom(16).hex().encode() + b"\\6tunnel\\7example\\0" + struct.pack("!2H", 16, 1)
def attempt(target):
    protocol, address, port, size = target
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kinds = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0), "icmp": (socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP)}
    try:
        with socket.socket(family, *kinds[protocol]) as s:
            s.settimeout(${ANSWER_S})
            if protocol == "udp" and family == socket.AF_INET: s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            s.connect((address, port))
            if protocol == "tcp": return "reached"
            echo = struct.pack("!BBHHH", 128 if family == socket.AF_INET6 else 8, 0, 0 if family == socket.AF_INET6 else 0xf7fd, 1, 1)
            s.send(echo if protocol == "icmp" else question.ljust(size, b"\\0"))
            s.recv(2048)
            return "reached"
    except socket.timeout: return "silence"
    except OSError as error: return errno.errorcode.get(error.errno or 0, str(error))
def serve(listener):
    while True:
        if listener.type == socket.SOCK_STREAM: listener.accept()[0].close()
        else: listener.sendto(b"here", listener.recvfrom(2048)[1])
for protocol, kind in (("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)):
    listener = socket.socket(socket.AF_INET, kind)
    listener.bind(("127.0.0.1", 0))
    if protocol == "tcp": listener.listen()
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    seen = attempt((protocol, "127.0.0.1", listener.getsockname()[1], 0))
    if seen != "reached": sys.exit("the prober does not reach its own server: " + seen)
with concurrent.futures.ThreadPoolExecutor(32) as pool: print(json.dumps(list(pool.map(attempt, json.loads(sys.argv[1])))), flush=True)
os._exit(0)
`;

/** All at once. Rejects where the prober fails its own test. */
export async function tryAll(
  sandbox: Sandbox,
  targets: readonly Target[],
  signal: AbortSignal,
  sendBytes = 0,
): Promise<readonly Attempt[]> {
  const words = targets.map(({ protocol, address, port }) => [protocol, address, port, sendBytes]);
  const outcomes = await runForJson(sandbox, PROBER, [JSON.stringify(words)], signal);
  if (!isList(outcomes) || outcomes.length !== targets.length) throw new Error("the prober lost count");
  return targets.map((target, index) => ({ target, outcome: textOf(outcomes[index]) }));
}

/** The last line that a Python program prints, which is JSON. Rejects with its last word where it fails. */
export async function runForJson(
  sandbox: Sandbox,
  python: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<Json> {
  const { stdout, stderr, exitCode } = await sandbox.run(["python3", "-c", python, ...args], {
    lifetimeMs: PROBER_MS,
    signal,
  });
  if (exitCode !== 0) throw new Error(stderr.trim().split("\n").at(-1)?.slice(0, 200) ?? "it said nothing");
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Json;
}

export interface DeniesOptions {
  readonly sandbox: Sandbox;
  readonly targets: readonly Target[];
  /** Beginnings of rules, one of which must have decided. */
  readonly rules: readonly string[];
  readonly signal: AbortSignal;
  /** Whether each attempt must be answered with an error: programs are not left waiting. */
  readonly answered?: boolean;
  /** Length of each datagram, in bytes. */
  readonly sendBytes?: number;
}

/** Held where none of the targets is reached, and the kernel names each as denied by one of the rules. */
export async function denies(options: DeniesOptions): Promise<Verdict> {
  const { sandbox, targets, rules, signal } = options;
  const outcomes = new Map<string, number>();
  const decided = new Set<string>();
  for (let at = 0; at < targets.length; at += BATCH) {
    const batch = targets.slice(at, at + BATCH);
    const attempts = await tryAll(sandbox, batch, signal, options.sendBytes);
    const reached = attempts.filter(({ outcome }) => outcome === "reached").map(({ target }) => nameOf(target));
    if (reached.length > 0) return { held: false, seen: `reached ${shown(reached)}` };
    const waiting = attempts.filter(({ outcome }) => outcome === "silence").map(({ target }) => nameOf(target));
    if (options.answered === true && waiting.length > 0) {
      return { held: false, seen: `left waiting by ${shown(waiting)}` };
    }
    for (const { outcome } of attempts) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    const denials = await untilTold(sandbox, batch.map(keyOf), signal);
    const untold = batch.filter((target) => !denials.has(keyOf(target)));
    if (untold.length > 0) {
      return { held: false, seen: `nothing says that these were denied: ${shown(untold.map(nameOf))}` };
    }
    for (const target of batch) {
      const rule = denials.get(keyOf(target)) ?? "";
      if (!rules.some((start) => rule.startsWith(start))) {
        return { held: false, seen: `${nameOf(target)} was denied by another rule: ${rule}` };
      }
      decided.add(rule);
    }
  }
  if (targets.length === 0) return { held: false, seen: "there was nothing to try" };
  const seen = [...outcomes].map(([outcome, count]) => `${count} ${outcome}`).join(", ");
  return { held: true, seen: `${targets.length} targets: ${seen}; denied by ${shown([...decided])}` };
}

/** Rule by destination, as {@link keyOf} has it, once all these are told of or the time is over. */
export async function untilTold(
  sandbox: Sandbox,
  keys: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const until = performance.now() + TOLD_MS;
  for (;;) {
    const denials = new Map<string, string>();
    for await (const { type, detail } of sandbox.events({ signal })) {
      const denial = type === "network_denied" ? readDenial(detail) : undefined;
      if (denial !== undefined) denials.set(denial.destination, denial.rule);
    }
    if (keys.every((key) => denials.has(key)) || performance.now() > until) return denials;
    await delay(POLL_MS, undefined, { signal });
  }
}

/** `Array.isArray`, which knows no readonly ones. */
export function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/** A text as it is, anything else as JSON. Pure. */
export function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : JSON.stringify(value ?? null);
}

/** Undefined where it names no destination. Pure. */
export function readDenial(detail: Json): Denial | undefined {
  if (typeof detail !== "object" || detail === null || Array.isArray(detail)) return undefined;
  const { destination, protocol, port, rule } = detail as Readonly<Record<string, Json>>;
  if (typeof destination !== "string" || typeof protocol !== "string" || typeof rule !== "string") return undefined;
  return { destination: key(protocol, destination, typeof port === "number" ? port : 0), rule };
}

/** Names a target as a denial does. Pure. */
export function keyOf({ protocol, address, arrivesAt, port }: Target): string {
  return key(protocol, arrivesAt ?? address, port);
}

function key(protocol: string, address: string, port: number): string {
  return `${protocol} ${canonical(address)} ${port}`;
}

/** One spelling of each address. */
function canonical(address: string): string {
  return new SocketAddress({ address, family: address.includes(":") ? "ipv6" : "ipv4" }).address;
}

export function nameOf({ protocol, address, port }: Target): string {
  return port === 0 ? `${protocol} ${address}` : `${protocol} ${address} port ${port}`;
}

function shown(names: readonly string[]): string {
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : "";
  return `${names.slice(0, SHOWN).join(", ")}${more}`;
}
