// The nftables session, in a network namespace of the test's own.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { sanitized } from "./build.ts";

const NAMESPACE = `sp-nft-test-${process.pid}`;
const sessions: Session[] = [];

beforeAll(() => {
  execFileSync("ip", ["netns", "add", NAMESPACE]);
});

afterAll(() => {
  execFileSync("ip", ["netns", "delete", NAMESPACE]);
});

afterEach(async () => {
  for (const session of sessions.splice(0)) {
    await session.request("tflush ruleset");
    expect(await session.end()).toEqual({ code: 0, stderr: "" });
  }
});

class Session {
  readonly #child: ChildProcess;
  #received: Buffer = Buffer.alloc(0);
  #arrived: () => void = () => undefined;
  #stderr = "";
  readonly #closed: Promise<unknown[]>;

  constructor(program = sanitized("sallyport-nft")) {
    this.#child = spawn("nsenter", [`--net=/run/netns/${NAMESPACE}`, program], { stdio: "pipe" });
    this.#closed = once(this.#child, "close");
    this.#child.stdin?.on("error", () => undefined); // the session's end shows as "close"
    this.#child.stdout?.on("data", (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#arrived();
    });
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString();
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  send(payload: string | Buffer): void {
    const body = Buffer.from(payload);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(body.length);
    this.raw(Buffer.concat([head, body]));
  }

  raw(bytes: Buffer): void {
    this.#child.stdin?.write(bytes);
  }

  async answer(): Promise<{ status: number; text: string }> {
    const payload = await this.payload();
    return { status: payload.readUInt8(0), text: payload.toString("utf8", 1) };
  }

  /** Of the next answer: its status, and what follows. */
  async payload(): Promise<Buffer> {
    while (this.#received.length < 4 || this.#received.length < 4 + this.#received.readUInt32BE(0)) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#arrived = resolve;
      await Promise.race([promise, this.#closed.then(() => Promise.reject(new Error(`ended: ${this.#stderr}`)))]);
    }
    const end = 4 + this.#received.readUInt32BE(0);
    const payload = this.#received.subarray(4, end);
    this.#received = this.#received.subarray(end);
    return payload;
  }

  request(payload: string | Buffer): Promise<{ status: number; text: string }> {
    this.send(payload);
    return this.answer();
  }

  async end(): Promise<{ code: unknown; stderr: string }> {
    this.#child.stdin?.end();
    const [code] = await this.#closed;
    return { code, stderr: this.#stderr };
  }
}

function open(): Session {
  const session = new Session();
  sessions.push(session);
  return session;
}

const done = { status: 0, text: "" };
const TABLE = `table inet t {
  set s { type ipv4_addr; }
  chain c { type filter hook input priority 0; policy drop; }
}`;

describe("a session", () => {
  it("takes text and JSON, and answers with JSON", async () => {
    const session = open();
    expect(await session.request(`t${TABLE}`)).toEqual(done);
    const add = { nftables: [{ add: { element: { family: "inet", table: "t", name: "s", elem: ["198.51.100.7"] } } }] };
    expect(await session.request(`j${JSON.stringify(add)}`)).toEqual(done);
    const listed = await session.request("tlist ruleset");
    expect(listed.status).toBe(0);
    expect(JSON.parse(listed.text)).toMatchObject({
      nftables: [
        expect.anything(),
        { table: { family: "inet", name: "t" } },
        { set: { name: "s", elem: ["198.51.100.7"] } },
        { chain: { name: "c", prio: 0, policy: "drop" } },
      ],
    });
    const asked = await session.request(`j${JSON.stringify({ nftables: [{ list: { ruleset: null } }] })}`);
    expect(asked.text).toBe(listed.text);
  });

  it("answers in order, however the requests arrive", async () => {
    const session = open();
    session.send(`t${TABLE}`);
    session.send("tadd element inet t s { 198.51.100.1 }");
    session.send("tno such command");
    for (const byte of Buffer.from([0, 0, 0, 5, ...Buffer.from("tlist")])) session.raw(Buffer.of(byte));
    session.send("tadd element inet t s { 198.51.100.2 }");
    const statuses: number[] = [];
    for (let index = 0; index < 5; index += 1) statuses.push((await session.answer()).status);
    expect(statuses).toEqual([0, 0, 1, 1, 0]);
  });

  it("changes nothing when any part of a transaction is refused, and says why", async () => {
    const session = open();
    await session.request(`t${TABLE}`);
    const before = await session.request("tlist ruleset");
    const refused = await session.request(
      "tadd element inet t s { 198.51.100.1 }\nadd rule inet t c accept\ndelete element inet t s { 198.51.100.99 }",
    );
    expect(refused.status).toBe(1);
    expect(refused.text).toContain("No such file or directory");
    const asJson = await session.request(
      `j${JSON.stringify({
        nftables: [
          { add: { element: { family: "inet", table: "t", name: "s", elem: ["198.51.100.1"] } } },
          { add: { chain: { family: "inet", table: "missing", name: "c" } } },
        ],
      })}`,
    );
    expect(asJson.status).toBe(1);
    expect(await session.request("tlist ruleset")).toEqual(before);
  });

  it("takes names that need no resolver, and refuses those that need one", async () => {
    const session = open();
    await session.request(`t${TABLE}`);
    expect(await session.request("tadd rule inet t c tcp dport 443 meta l4proto { tcp, udp } accept")).toEqual(done);
    expect(await session.request("tadd rule inet t c tcp dport https ct state established accept")).toEqual(done);
    for (const name of ["localhost", "example.com"]) {
      expect(await session.request(`tadd rule inet t c ip saddr ${name} accept`)).toMatchObject({ status: 1 });
    }
  });

  it("reads no file", async () => {
    const directory = mkdtempSync(join(tmpdir(), "nft-"));
    const file = join(directory, "rules");
    writeFileSync(file, "add table inet included\n");
    const session = open();
    for (const text of [`include "${file}"`, `add table inet u; include "${file}"`, `1include "${file}"`]) {
      expect(await session.request(`t${text}`)).toEqual({ status: 1, text: "include is not allowed" });
    }
    expect(await session.request('tadd table inet t { comment "to include it"; } # include')).toEqual(done);
    const listed = await session.request("tlist tables");
    expect(JSON.parse(listed.text)).toMatchObject({ nftables: [expect.anything(), { table: { name: "t" } }] });
    rmSync(directory, { recursive: true });
  });

  it("refuses what is neither text nor JSON", async () => {
    const session = open();
    const refused = await session.request("xlist ruleset");
    expect(refused.status).toBe(1);
    expect(refused.text).toMatch(/j nor t nor n/);
    expect(await session.request("jlist ruleset")).toMatchObject({ status: 1 });
    expect(await session.request('t{"nftables": []}')).toMatchObject({ status: 1 });
    expect(await session.request('j{"nftables": [')).toMatchObject({ status: 1 });
    expect(await session.request("tlist\0ruleset")).toMatchObject({ status: 1 });
    expect(await session.request("t")).toEqual(done);
  });

  it("takes a request of many megabytes", async () => {
    const session = open();
    await session.request(`t${TABLE}`);
    const elements = Array.from({ length: 20_000 }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
    const add = `tadd element inet t s { ${elements.join(", ")} }`;
    expect((await session.request(add)).status).toBe(0);
    // The text of an error quotes the request: it is cut short.
    const refused = await session.request(add.replace(" s ", " missing "));
    expect(refused.status).toBe(1);
    expect(refused.text.length).toBe(64 * 1024);
    const listed = await session.request("tlist set inet t s");
    expect(listed.text.length).toBeGreaterThan(200_000);
    expect(await session.request(`t${" ".repeat(16 * 1024 * 1024 - 1)}`)).toEqual(done);
  });

  it("ends when a request is longer than allowed, empty, or cut short", async () => {
    for (const bytes of [Buffer.from([1, 0, 0, 1]), Buffer.alloc(4), Buffer.from([0, 0, 0, 9, 0x74])]) {
      const session = new Session();
      session.raw(bytes);
      const { code, stderr } = await session.end();
      expect(code).toBe(1);
      expect(stderr).toMatch(/^sallyport-nft: .*request/);
    }
  });

  it("needs no more memory after 20,000 transactions, refused ones among them", { timeout: 120_000 }, async () => {
    execFileSync("make", ["-s"], { cwd: join(import.meta.dirname, "..") });
    // Without sanitizers: they keep freed memory for a while.
    const session = new Session(join(import.meta.dirname, "../build/sallyport-nft"));
    sessions.push(session);
    await session.request(`t${TABLE}`);
    const change = async (rounds: number) => {
      for (let round = 0; round < rounds; round += 1) {
        session.send(`tadd element inet t s { 198.51.100.${round % 200} }`);
        session.send("tdelete element inet t missing { 198.51.100.1 }");
        session.send(
          `j${JSON.stringify({ nftables: [{ list: { set: { family: "inet", table: "t", name: "s" } } }] })}`,
        );
        session.send(`tdelete element inet t s { 198.51.100.${round % 200} }`);
        const statuses = [
          await session.answer(),
          await session.answer(),
          await session.answer(),
          await session.answer(),
        ];
        expect(statuses.map(({ status }) => status)).toEqual([0, 1, 0, 0]);
      }
    };
    await change(250);
    const before = residentKiB(session.pid);
    await change(4_750);
    expect(residentKiB(session.pid) - before).toBeLessThan(1_024);
  });
});

/** A message for the kernel's netfilter, without attributes. */
function message(type: number, flags: number, sequence: number): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt32LE(20, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  return bytes;
}

const REQUEST = 1;
const DUMP = 0x300;
const GET_TABLE = 0x0a01;
const GET_SET_ELEMENTS = 0x0a0d;
const GET_GENERATION = 0x0a10;

/** Type and number of each message of an answer; of errors the error as well. */
function heads(bytes: Buffer): (readonly number[])[] {
  const found: number[][] = [];
  for (let at = 0; at < bytes.length; at += (bytes.readUInt32LE(at) + 3) & ~3) {
    const type = bytes.readUInt16LE(at + 4);
    found.push([type, bytes.readUInt32LE(at + 8), ...(type === 2 ? [bytes.readInt32LE(at + 16)] : [])]);
  }
  return found;
}

describe("messages for the kernel", () => {
  const exchange = async (session: Session, messages: Buffer): Promise<Buffer> => {
    session.send(Buffer.concat([Buffer.from("n"), messages]));
    const payload = await session.payload();
    expect(payload.readUInt8(0)).toBe(0);
    return payload.subarray(1);
  };

  it("go there as they are, and come back with what it says", async () => {
    const session = open();
    expect(heads(await exchange(session, message(GET_GENERATION, REQUEST, 7)))).toEqual([[0x0a0f, 7]]);
    // Without the attributes that it needs.
    expect(heads(await exchange(session, message(GET_SET_ELEMENTS, REQUEST, 8)))).toEqual([[2, 8, -22]]);
    expect(heads(await exchange(session, message(0x0aff, REQUEST, 9)))).toEqual([[2, 9, -22]]);
    // What is shorter than a message's head is none: the kernel says nothing.
    expect(await exchange(session, Buffer.from("short"))).toEqual(Buffer.alloc(0));
  });

  it("get whole lists, longer than any buffer of the kernel's", async () => {
    const session = open();
    const names = Array.from({ length: 2_000 }, (_, index) => `add table inet t${index}`);
    expect(await session.request(`t${names.join("\n")}`)).toEqual(done);
    const listed = await exchange(session, message(GET_TABLE, REQUEST | DUMP, 3));
    expect(listed.length).toBeGreaterThan(64 * 1024);
    expect(heads(listed).filter(([type]) => type === 0x0a00)).toHaveLength(2_000);
    expect(heads(listed).at(-1)).toEqual([3, 3]);
    expect(heads(await exchange(session, message(GET_GENERATION, REQUEST, 4)))).toEqual([[0x0a0f, 4]]);
  });

  it("that cannot be sent are refused, and the next ones go", async () => {
    const session = open();
    const refused = await session.request("n");
    expect(refused.status).toBe(1);
    expect(refused.text).not.toBe("");
    expect(heads(await exchange(session, message(GET_GENERATION, REQUEST, 5)))).toEqual([[0x0a0f, 5]]);
  });
});

function residentKiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]);
}
