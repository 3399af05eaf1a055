// The reader of denials with a kernel that denies, in a network namespace of the test's own.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type DenialRecord, RECORD_BYTES, recordsOf } from "./denial-records.ts";

const PROGRAM = join(import.meta.dirname, "../build/sallyport-denials");
const NAMESPACE = `sp-denials-test-${process.pid}`;
const GROUP = "15";
const running: ChildProcess[] = [];

const inside = (...argv: string[]): string =>
  execFileSync("nsenter", [`--net=/run/netns/${NAMESPACE}`, ...argv], { encoding: "utf8" });

beforeAll(() => {
  execFileSync("make", ["-s", "build/sallyport-denials"], { cwd: join(import.meta.dirname, "..") });
  execFileSync("ip", ["netns", "add", NAMESPACE]);
  inside("ip", "link", "set", "lo", "up");
  inside(
    "nft",
    `table inet t { chain c { type filter hook input priority 0;
      udp dport 9 log prefix "policy" group ${GROUP} snaplen 80 drop
      tcp dport 9 log prefix "never" group ${GROUP} snaplen 80 reject with tcp reset; }; }`,
  );
});

afterAll(() => {
  execFileSync("ip", ["netns", "delete", NAMESPACE]);
});

afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
});

class Reader {
  readonly child: ChildProcess;
  #received = Buffer.alloc(0);

  constructor(...argv: string[]) {
    this.child = spawn("nsenter", [`--net=/run/netns/${NAMESPACE}`, PROGRAM, ...argv], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.push(this.child);
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
    });
  }

  records(): DenialRecord[] {
    return recordsOf(this.#received.subarray(0, this.#received.length - (this.#received.length % RECORD_BYTES)));
  }

  /** When it is nobody, it listens. */
  async ready(): Promise<void> {
    await expect.poll(() => this.status("Uid"), { timeout: 5_000 }).toBe("65534\t65534\t65534\t65534");
    await expect.poll(() => this.status("Seccomp"), { timeout: 5_000 }).toBe("2");
  }

  status(name: string): string | undefined {
    const text = readFileSync(`/proc/${this.child.pid ?? 0}/status`, "latin1");
    return new RegExp(`^${name}:[ \\t]*(.*)$`, "m").exec(text)?.[1]?.trim();
  }
}

const SEND = `
import socket
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    socket.socket(family, socket.SOCK_DGRAM).sendto(b"secret", (address, 9))
    try: socket.socket(family, socket.SOCK_STREAM).connect((address, 9))
    except OSError: pass
`;

describe("the reader", () => {
  it("tells of what is denied, as nobody", async () => {
    const reader = new Reader(GROUP);
    await reader.ready();
    expect([reader.status("Groups"), reader.status("NoNewPrivs"), reader.status("CapEff")]).toEqual([
      "",
      "1",
      "0".repeat(16),
    ]);
    inside("python3", "-c", SEND);
    await expect.poll(() => reader.records().length, { timeout: 5_000 }).toBe(4);
    const told = reader.records().map(({ link, word, family, protocol, port }) => [link, word, family, protocol, port]);
    expect(told).toEqual([
      ["lo", "policy", 4, 17, 9],
      ["lo", "never", 4, 6, 9],
      ["lo", "policy", 6, 17, 9],
      ["lo", "never", 6, 6, 9],
    ]);
    expect(reader.records()[0]).toMatchObject({ source: "7f000001", destination: "7f000001" });
  });

  it("ends when nobody reads", async () => {
    const reader = new Reader(GROUP);
    await reader.ready();
    const ended = once(reader.child, "exit");
    reader.child.stdout?.destroy();
    expect(await ended).toEqual([0, null]);
  });

  it("is the group's only one, and says so", async () => {
    const reader = new Reader(GROUP);
    await reader.ready();
    const second = new Reader(GROUP);
    let words = "";
    second.child.stderr?.on("data", (chunk: Buffer) => {
      words += chunk.toString();
    });
    expect(await once(second.child, "close")).toEqual([1, null]);
    expect(words).toMatch(/^sallyport-denials: cannot set the log up: /);
  });

  it.each([[[]], [["x"]], [[""]], [["65536"]], [["1", "2"]]])("refuses %j", async (argv: string[]) => {
    const reader = new Reader(...argv);
    expect(await once(reader.child, "close")).toEqual([2, null]);
  });
});
