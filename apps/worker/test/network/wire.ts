// Frames put on an interface as they are, and what arrives anywhere: by packet sockets, past every rule of the sender's
// own kernel. Perl, as every Debian has it.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";

/** Every packet of a test carries a mark of eight bytes, so that a fragment of eight bytes can hold one whole. */
export const MARK_PREFIX = "SP>";
let lastMark = 0;

/** A mark that no other packet of this process carries. */
export function newMark(): Buffer {
  lastMark += 1;
  return Buffer.from(MARK_PREFIX + lastMark.toString(36).padStart(5, "0"));
}

const INJECT = `
use Socket; use IO::Handle;
socket(my $s, 17, SOCK_RAW, 0) or die "socket: $!";
my %index;
sub link_index { my $r = pack("a16 x24", $_[0]); ioctl($s, 0x8933, $r) or die "no $_[0]: $!"; unpack("x16 i", $r) }
STDOUT->autoflush(1);
while (my $line = <STDIN>) {
  chomp $line;
  if ($line eq "") { print "done\\n"; next }
  my ($link, $hex, $count, $pause) = split / /, $line;
  my $to = pack("S n i S C C a8", 17, 0, $index{$link} //= link_index($link), 0, 0, 6, "");
  my $bytes = pack("H*", $hex);
  for (1 .. $count) {
    until (send($s, $bytes, 0, $to)) { die "send: $!" unless $!{ENOBUFS}; select(undef, undef, undef, 0.0005) }
    select(undef, undef, undef, $pause) if $pause;
  }
}
`;

const CAPTURE = `
use Socket qw(:DEFAULT AF_INET6); use IO::Handle;
my $prefix = shift;
my %sockets;
socket(my $wire, 17, SOCK_RAW, unpack("S", pack("n", 3))) or die "socket: $!";
$sockets{fileno $wire} = ["wire", $wire];
for ([AF_INET, 1], [AF_INET, 6], [AF_INET, 17], [AF_INET6, 58], [AF_INET6, 6], [AF_INET6, 17]) {
  socket(my $s, $_->[0], SOCK_RAW, $_->[1]) or die "socket: $!";
  $sockets{fileno $s} = ["local", $s];
}
my $names = $wire;
setsockopt($_->[1], SOL_SOCKET, 33, pack("i", 1 << 26)) for values %sockets;
STDOUT->autoflush(1);
print "ready\\n";
my %name;
while (1) {
  my $bits = ""; vec($bits, $_, 1) = 1 for keys %sockets;
  select($bits, undef, undef, undef) > 0 or next;
  # The wire last: whoever sees two packets there, one after the other, has seen what was delivered before the first.
  for my $fd (sort { $b <=> $a } grep { vec($bits, $_, 1) } keys %sockets) {
    my ($kind, $s) = @{$sockets{$fd}};
    while (defined(my $from = recv($s, my $data, 65536, 0x40))) {
      my $link = "-";
      if ($kind eq "wire") {
        my ($index, $type) = unpack("x4 i x2 C", $from);
        next if $type == 4;
        $link = $name{$index} //= do { my $r = pack("x16 i x20", $index); ioctl($names, 0x8910, $r) ? unpack("Z16", $r) : "?" };
      }
      next if index($data, $prefix) < 0;
      print "$kind $link ", unpack("H*", $data), "\\n";
    }
  }
}
`;

/** All on one processor: what is sent first then also meets the rules first, on whichever interface. */
function perl(netnsPath: string, script: string, args: readonly string[]): ChildProcess {
  const command = [`--net=${netnsPath}`, "taskset", "-c", "0", "perl", "-e", script, ...args];
  return spawn("nsenter", command, { stdio: ["pipe", "pipe", "inherit"] });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}

/** A frame for an interface; sent so often, with so long between two. */
export interface Sending {
  readonly link: string;
  readonly frame: Buffer;
  readonly count?: number;
  readonly pauseMs?: number;
}

/** Puts frames on the interfaces of one namespace. */
export class Injector implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: Interface;

  constructor(netnsPath: string) {
    this.#child = perl(netnsPath, INJECT, []);
    if (this.#child.stdout === null) throw new Error("no stdout");
    this.#lines = createInterface(this.#child.stdout);
  }

  /** Resolves when the kernel has taken all of them. One call at a time. */
  async send(frames: readonly Sending[]): Promise<void> {
    const lines = frames.map(({ link, frame, count = 1, pauseMs = 0 }) => {
      return `${link} ${frame.toString("hex")} ${count} ${pauseMs / 1000}\n`;
    });
    const stop = new AbortController();
    const done = once(this.#lines, "line", { signal: stop.signal });
    const ended = once(this.#child, "exit", { signal: stop.signal }).then(() => {
      throw new Error("the injector ended");
    });
    this.#child.stdin?.write(`${lines.join("")}\n`);
    try {
      await Promise.race([done, ended]);
    } finally {
      stop.abort();
      await Promise.allSettled([done, ended]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#child);
  }
}

/** A marked packet that came in. */
export interface Arrival {
  /** `wire`: an interface took it in, before any rule. `local`: the namespace took it for its own, after all rules. */
  readonly kind: "wire" | "local";
  /** The interface, where the kind is `wire`. */
  readonly link: string;
  readonly bytes: Buffer;
}

/** Everything marked that arrives in one namespace from when it is ready. */
export class Capture implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #arrivals: Arrival[] = [];

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async in(netnsPath: string): Promise<Capture> {
    const child = perl(netnsPath, CAPTURE, [MARK_PREFIX]);
    if (child.stdout === null) throw new Error("no stdout");
    const lines = createInterface(child.stdout);
    await once(lines, "line");
    const capture = new Capture(child);
    lines.on("line", (line) => {
      const [kind = "", link = "", hex = ""] = line.split(" ");
      capture.#arrivals.push({ kind: kind === "local" ? "local" : "wire", link, bytes: Buffer.from(hex, "hex") });
    });
    return capture;
  }

  arrivals(): readonly Arrival[] {
    return this.#arrivals;
  }

  /** Whether a packet with this mark came in. */
  saw(mark: Buffer): boolean {
    return this.#arrivals.some(({ bytes }) => bytes.includes(mark));
  }

  forget(): void {
    this.#arrivals.length = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#child);
  }
}

/** The marks of packets. */
export function marksIn(arrivals: readonly Arrival[]): Set<string> {
  const marks = new Set<string>();
  for (const { bytes } of arrivals) {
    for (let at = bytes.indexOf(MARK_PREFIX); at >= 0; at = bytes.indexOf(MARK_PREFIX, at + 1)) {
      marks.add(bytes.subarray(at, at + MARK_PREFIX.length + 5).toString());
    }
  }
  return marks;
}
