// What a program inside a sandbox meets at destinations, and a program that keeps flows to one open.
import type { Sandbox } from "@sallyport/sdk";

/** ICMP: an echo; the port counts for nothing. */
export type Probe = readonly [kind: "tcp" | "udp" | "icmp", address: string, port: number];

// Tries all destinations at once; one line each, in any order: its number and "answer", or the name of the error.
const PROBE = `
import errno, socket, sys, threading
def attempt(kind, address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        if kind == "icmp":
            s = socket.socket(family, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6 if ":" in address else socket.IPPROTO_ICMP)
        else:
            s = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
        s.settimeout(1.5 if kind == "icmp" else 10)
        s.connect((address, port))
        if kind == "udp": s.send(b"hello")
        if kind == "icmp": s.send(bytes([128 if ":" in address else 8, 0, 0, 0, 0, 1, 0, 1]) + b"hello")
        return "answer" if s.recv(100) else "closed"
    except OSError as error:
        return errno.errorcode.get(error.errno, type(error).__name__)
def report(number, kind, address, port):
    answer = attempt(kind, address, int(port))
    sys.stdout.write(str(number) + " " + answer + "\\n")
threads = [threading.Thread(target=report, args=(number, *word.split(","))) for number, word in enumerate(sys.argv[1:])]
[t.start() for t in threads]
[t.join() for t in threads]
`;

/** What each destination gives, in order: `answer`, or the error's name, e.g. `ECONNREFUSED`. */
export async function probe(sandbox: Sandbox, probes: readonly Probe[]): Promise<string[]> {
  const { stdout } = await sandbox.run(["python3", "-c", PROBE, ...probes.map((one) => one.join())], { check: true });
  const answers = new Map(
    stdout
      .trim()
      .split("\n")
      .map((line) => line.split(" ") as [string, string]),
  );
  return probes.map((_, number) => answers.get(String(number)) ?? "nothing");
}

// Flows to a far server, TCP and UDP, of both families. Every 100 ms a line of JSON: what each received, and its end.
const FLOWS = `
import errno, json, socket, sys, threading, time
port = int(sys.argv[1])
received, ended = {}, {}
def send(name, s, keep):
    while name not in ended:
        try:
            s.send(b"x")
        except OSError as error:
            if not keep: ended.setdefault(name, errno.errorcode.get(error.errno, "?"))
        time.sleep(0.05)
def receive(name, s, keep):
    while name not in ended:
        try:
            got = len(s.recv(4096))
            if got == 0: ended.setdefault(name, "closed")
            received[name] += got
        except OSError as error:
            if not keep: ended.setdefault(name, errno.errorcode.get(error.errno, "?"))
for number, address in (("4", sys.argv[2]), ("6", sys.argv[3])):
    for kind, sort in (("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)):
        s = socket.socket(socket.AF_INET6 if number == "6" else socket.AF_INET, sort)
        s.connect((address, port))
        received[kind + number] = 0
        for work in (send, receive):
            threading.Thread(target=work, args=(kind + number, s, kind == "udp"), daemon=True).start()
while True:
    print(json.dumps({"received": received, "ended": ended}), flush=True)
    time.sleep(0.1)
`;

export type FlowName = "tcp4" | "tcp6" | "udp4" | "udp6";

/** What the flows told last. */
interface FlowState {
  readonly received: Readonly<Record<FlowName, number>>;
  /** How those ended that did, e.g. `ECONNRESET`. UDP goes on through errors. */
  readonly ended: Readonly<Partial<Record<FlowName, string>>>;
}

export interface Flows extends AsyncDisposable {
  state(): FlowState;
}

/** Opens a flow of each kind to an IPv4 and an IPv6 address of a far server and keeps it busy both ways. Disposal ends them. */
export async function startFlows(sandbox: Sandbox, port: number, to: readonly [string, string]): Promise<Flows> {
  const process = await sandbox.exec(["python3", "-c", FLOWS, String(port), ...to]);
  let state: FlowState = { received: { tcp4: 0, tcp6: 0, udp4: 0, udp6: 0 }, ended: {} };
  const reading = (async () => {
    for await (const line of process.stdout.lines()) state = JSON.parse(line) as FlowState;
  })();
  return {
    state: () => state,
    async [Symbol.asyncDispose]() {
      await process.kill();
      await reading;
    },
  };
}

// Connections that send all the time. Prints "ready", then the name of the error of each that ends.
const RESETS = `
import errno, socket, sys, threading, time
def work(s):
    try:
        while True:
            s.send(b"x")
            time.sleep(0.1)
    except OSError as error:
        sys.stdout.write(errno.errorcode.get(error.errno, "?") + "\\n")
        sys.stdout.flush()
for s in [socket.create_connection((sys.argv[2], int(sys.argv[1]))) for _ in range(16)]:
    threading.Thread(target=work, args=(s,)).start()
print("ready", flush=True)
`;

/** gVisor overlooks a reset now and then when it comes at the very moment of a packet of its own: not all are awaited. */
const AWAITED_RESETS = 8;

/** Opens connections to an address. `some` is done when most of them were reset, and fails for any other end. */
export async function startResets(sandbox: Sandbox, port: number, address: string): Promise<{ some(): Promise<void> }> {
  const process = await sandbox.exec(["python3", "-c", RESETS, String(port), address]);
  const lines = process.stdout.lines()[Symbol.asyncIterator]();
  const next = async () => String((await lines.next()).value);
  const first = await next();
  if (first !== "ready") throw new Error(`no connections: ${first}`);
  return {
    async some() {
      for (let count = 0; count < AWAITED_RESETS; count += 1) {
        const end = await next();
        if (end !== "ECONNRESET") throw new Error(`a connection ended otherwise: ${end}`);
      }
      await process.kill();
    },
  };
}
