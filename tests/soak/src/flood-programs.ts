// Python that runs in sandboxes: four floods, each as fast as it can, and the neighbour who measures meanwhile.

/** A flood goes on until it is killed. Every second it says on a line how often it has tried so far. */
const floodOf = (prepare: string, attempt: string): string => `
import os, socket, struct, sys, threading, time
tried = 0
def report():
    while True:
        print(tried, flush=True)
        time.sleep(1)
${prepare}
threading.Thread(target=report, daemon=True).start()
while True:
    tried += 1
    try:
${attempt.trim().replaceAll(/^/gm, "        ")}
    except OSError: pass
`;

export type FloodName = "packets" | "connections" | "look-ups" | "denied";

/** Arguments: an address and a port; of `denied`: addresses; of `look-ups`: none. */
export const FLOODS: Readonly<Record<FloodName, string>> = {
  packets: floodOf(
    `s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2])))`,
    `s.send(b"x" * 18)`,
  ),
  connections: floodOf(
    "to = (sys.argv[1], int(sys.argv[2]))",
    `with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
    s.settimeout(5)
    s.connect(to)`,
  ),
  // A name of its own each time, so that the resolver has to ask on.
  "look-ups": floodOf(
    `server = next(line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver"))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((server, 53))
own = os.urandom(4).hex().encode()`,
    `name = b"%s%08d" % (own, tried)
s.send(struct.pack("!6H", tried & 0xffff, 0x100, 1, 0, 0, 0) + b"\\x10" + name + b"\\7example\\0\\0\\1\\0\\1")`,
  ),
  // By turns a datagram and the start of a connection, to ever other ports.
  denied: floodOf(
    "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    `to = (sys.argv[1 + tried % (len(sys.argv) - 1)], tried % 60000 + 1)
s.sendto(b"x" * 18, to)
with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as t:
    t.setblocking(False)
    t.connect_ex(to)`,
  ),
};

/** What the neighbour measured. */
export interface Measured {
  /** Received over TCP, in megabits per second. */
  readonly mbit: number;
  /** Of a byte there and back over a connection that is open. */
  readonly roundTripMs: Percentiles;
  /** Until a connection is open. */
  readonly openMs: Percentiles;
  /** Errors, as Python names them. */
  readonly failures: readonly string[];
}

interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/**
 * Over and over: a connection, fifty round trips on it, a second of what the server sends. The last line is
 * {@link Measured} as JSON. Arguments: address and port of a far server, seconds.
 */
export const MEASURE = `
import json, socket, sys, time
to, until = (sys.argv[1], int(sys.argv[2])), time.monotonic() + float(sys.argv[3])
received, receiving, trips, opens, failures = 0, 0.0, [], [], []
def timed(times, work):
    begun = time.monotonic()
    result = work()
    times.append((time.monotonic() - begun) * 1000)
    return result
def there_and_back(s):
    s.sendall(b"e")
    if s.recv(1) != b"e": raise OSError("no echo")
def measure():
    global received, receiving
    with timed(opens, lambda: socket.create_connection(to, 10)) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(50): timed(trips, lambda: there_and_back(s))
        s.sendall(b"s")
        begun = now = time.monotonic()
        while now - begun < 1:
            got = len(s.recv(65536))
            if got == 0: raise OSError("closed early")
            received, now = received + got, time.monotonic()
        receiving += now - begun
def percentiles(times):
    times = sorted(times) or [0]
    at = lambda part: round(times[min(len(times) - 1, int(len(times) * part))], 3)
    return {"count": len(times), "p50": at(0.5), "p95": at(0.95), "p99": at(0.99)}
while time.monotonic() < until:
    try: measure()
    except OSError as error:
        failures.append(repr(error))
        time.sleep(0.1)
print(json.dumps({
    "mbit": round(received * 8 / 1e6 / max(receiving, 0.001), 1),
    "roundTripMs": percentiles(trips), "openMs": percentiles(opens), "failures": failures,
}))
`;
