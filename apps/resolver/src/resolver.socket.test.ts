// The resolver with real sockets, between programs that ask and a name server of the test's own.
import {
  type DnsQuestion,
  type DnsReply,
  type DnsServer,
  fromZone,
  startDnsServer,
} from "@sallyport/testkit/dns-server";
import type { DecodedPacket } from "dns-packet";
import { afterEach, describe, expect, it } from "vitest";
import { query } from "../test/messages.ts";
import { type ResolverTestOptions, type TestResolver, testResolver } from "../test/resolver.ts";

let stack = new AsyncDisposableStack();

afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

const zone = fromZone({
  "host.example": [
    { type: "A", data: "198.51.100.7" },
    { type: "AAAA", data: "2001:db8::7" },
    { type: "TXT", data: "words" },
  ],
  "alias.example": [{ type: "CNAME", data: "host.example" }],
  "mixed.example": [
    { type: "A", data: "10.0.0.1" },
    { type: "A", data: "198.51.100.8" },
  ],
  "private.example": [{ type: "A", data: "192.168.1.1" }],
  "metadata.example": [{ type: "A", data: "169.254.169.254" }],
  "hidden.example": [{ type: "CNAME", data: "private.example" }],
  "mapped.example": [{ type: "AAAA", data: "::ffff:10.0.0.1" }],
  "own.example": [{ type: "A", data: "198.51.100.1" }],
  "large.example": Array.from({ length: 200 }, (_, index) => ({ type: "A", data: `198.51.100.${index}` })),
});

async function upstream(respond: (question: DnsQuestion) => DnsReply | undefined = zone): Promise<DnsServer> {
  return stack.use(await startDnsServer({ respond }));
}

async function resolver(options: ResolverTestOptions): Promise<TestResolver> {
  return stack.use(await testResolver(options));
}

/** "name type data" of each record, the rcode before them, and the code of the extended error after. */
function short(packet: DecodedPacket | undefined): string[] {
  if (packet === undefined) return ["silence"];
  const records = [...(packet.answers ?? []), ...(packet.authorities ?? [])];
  const opt = packet.additionals?.find((record) => record.type === "OPT");
  const option = opt?.type === "OPT" ? opt.options[0] : undefined;
  const error = option !== undefined && "data" in option ? (option.data as Buffer).readUInt16BE(0) : undefined;
  const told = records.map((record) => `${record.name} ${record.type} ${"data" in record ? text(record.data) : ""}`);
  return [rcodeOf(packet), ...told, ...(error === undefined ? [] : [`error ${error}`])];
}

function text(data: unknown): string {
  return typeof data === "string" ? data : Buffer.concat(data as Buffer[]).toString();
}

/** Left out of the types of dns-packet. */
function rcodeOf(packet: DecodedPacket): string {
  return (packet as DecodedPacket & { rcode: string }).rcode;
}

describe("a name", () => {
  it("of the world is answered, as asked, and from the cache the second time", async () => {
    const server = await upstream();
    const { ask } = await resolver({ upstream: [server] });
    expect(short(await ask("host.example"))).toEqual(["NOERROR", "host.example A 198.51.100.7"]);
    const again = await ask("HOST.example");
    expect(short(again)).toEqual(["NOERROR", "HOST.example A 198.51.100.7"]);
    expect(again).toMatchObject({ flag_ra: true, flag_aa: false, flag_ad: false, id: 7 });
    expect(server.asked).toHaveLength(1);
    expect(short(await ask("host.example", "AAAA"))).toEqual(["NOERROR", "host.example AAAA 2001:db8::7"]);
    expect(short(await ask("alias.example"))).toEqual([
      "NOERROR",
      "alias.example CNAME host.example",
      "host.example A 198.51.100.7",
    ]);
    expect(short(await ask("host.example", "TXT"))).toEqual(["NOERROR", "host.example TXT words"]);
    expect(short(await ask("host.example", "MX"))).toEqual(["NOERROR"]);
    expect(short(await ask("nobody.example"))).toEqual(["NXDOMAIN"]);
  });

  it("is answered without EDNS where it was asked without", async () => {
    const { udp } = await resolver({ upstream: [await upstream()] });
    const answer = await udp(query("private.example", "A"));
    expect(answer).toMatchObject({ rcode: "NOERROR", answers: [], additionals: [] });
  });

  it("tells nobody upstream who asked, nor what else he said", async () => {
    const server = await upstream();
    const { udp } = await resolver({ upstream: [server] });
    const subnet = Buffer.from([0, 8, 0, 7, 0, 1, 24, 0, 198, 51, 100]);
    const message = query("host.example", "A", { edns: true, id: 4711 });
    message[message.length - 1] = subnet.length;
    expect(short(await udp(Buffer.concat([message, subnet])))).toEqual(["NOERROR", "host.example A 198.51.100.7"]);
    expect(server.asked[0]?.packet.id).not.toBe(4711);
    expect(server.asked[0]?.packet.additionals).toMatchObject([{ type: "OPT", options: [], flag_do: false }]);
  });
});

describe("an address where no sandbox may go", () => {
  it("is taken out, and the answer is empty where none is left", async () => {
    const ownAddresses = () => ["198.51.100.1"];
    const { ask } = await resolver({ upstream: [await upstream()], ownAddresses });
    expect(short(await ask("mixed.example"))).toEqual(["NOERROR", "mixed.example A 198.51.100.8"]);
    for (const name of ["private.example", "metadata.example", "hidden.example", "own.example"]) {
      expect(short(await ask(name)), name).toEqual(["NOERROR", "error 15"]);
      expect(short(await ask(name)), `${name} again`).toEqual(["NOERROR", "error 15"]);
    }
    expect(short(await ask("mapped.example", "AAAA"))).toEqual(["NOERROR", "error 15"]);
  });

  it("is judged by the machine's addresses as they are now, though the answer was kept", async () => {
    let own: string[] = [];
    const { ask } = await resolver({ upstream: [await upstream()], ownAddresses: () => own });
    expect(short(await ask("own.example"))).toEqual(["NOERROR", "own.example A 198.51.100.1"]);
    own = ["198.51.100.1"];
    await expect.poll(async () => short(await ask("own.example")), { timeout: 5_000 }).toEqual(["NOERROR", "error 15"]);
  });
});

describe("what is never asked for", () => {
  it("is answered here", async () => {
    const server = await upstream(() => ({ answers: [{ type: "A", name: "x", data: "198.51.100.1" }] }));
    const { ask, udp } = await resolver({ upstream: [server] });
    expect(short(await ask("metadata.google.internal"))).toEqual(["NXDOMAIN", "error 29"]);
    expect(short(await ask("1.0.0.10.in-addr.arpa", "PTR"))).toEqual(["NXDOMAIN", "error 29"]);
    expect(short(await ask("printer"))).toEqual(["NOERROR", "error 29"]);
    // SVCB and HTTPS, whose names this codec does not know.
    for (const type of ["UNKNOWN_64", "UNKNOWN_65"])
      expect(short(await ask("host.example", type))).toEqual(["NOERROR"]);
    for (const type of ["ANY", "AXFR", "IXFR", "DNSKEY", "NULL", "MAILB"]) {
      expect(short(await ask("host.example", type)), type).toEqual(["REFUSED", "error 21"]);
    }
    const chaos = query("version.bind", "TXT");
    chaos[chaos.length - 1] = 3;
    expect(short(await udp(chaos))).toEqual(["REFUSED"]);
    expect(server.asked).toEqual([]);
  });
});

describe("limits", () => {
  it("hold for how often one asks", async () => {
    const server = await upstream();
    const { ask } = await resolver({ upstream: [server], limits: { queriesPerSecond: 1, burst: 5 } });
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask("host.example")));
    const refused = answers.filter((answer) => rcodeOf(answer) === "REFUSED");
    expect(refused.length).toBeGreaterThanOrEqual(13);
    expect(short(refused[0])).toEqual(["REFUSED", "error 0"]);
  });

  it("hold for questions under way; a repeat is no further one", async () => {
    const server = await upstream(() => undefined);
    const limits = { inFlight: 2, waiting: 3, timeoutMs: 300 };
    const { ask } = await resolver({ upstream: [server], limits });
    const names = ["a", "a", "a", "b", "c", "d", "e", "f", "g"].map((label) => `${label}.example`);
    const answers = await Promise.all(names.map(async (name) => [name, ...short(await ask(name))]));
    const refused = answers.filter(([, rcode]) => rcode === "REFUSED").map(([name]) => name);
    expect(refused).toHaveLength(2);
    expect(refused).not.toContain("a.example");
    const failed = answers.filter(([, rcode]) => rcode === "SERVFAIL");
    expect(failed).toHaveLength(7);
    expect(failed[0]?.slice(1)).toEqual(["SERVFAIL", "error 22"]);
  });
});

describe("messages that are none", () => {
  it("are answered with an error or not at all, and leave the resolver as it was", async () => {
    const { ask, udp } = await resolver({ upstream: [await upstream()] });
    expect(await udp(Buffer.alloc(20, 0x80), 200)).toBeUndefined();
    expect(short(await udp(Buffer.from("not a message")))).toEqual(["NOTIMP"]);
    expect(await udp(Buffer.alloc(2000), 200)).toBeUndefined();
    const twoQuestions = query("host.example", "A");
    twoQuestions[5] = 2;
    expect(short(await udp(twoQuestions))).toEqual(["FORMERR"]);
    expect(short(await ask("host.example"))).toEqual(["NOERROR", "host.example A 198.51.100.7"]);
  });
});

describe("over TCP", () => {
  it("long answers come whole, which UDP cuts off", async () => {
    const server = await upstream((question) =>
      question.transport === "udp" && question.name === "large.example" ? { truncated: true } : zone(question),
    );
    const { udp, connect } = await resolver({ upstream: [server] });
    expect(await udp(query("large.example", "A", { edns: true }))).toMatchObject({ flag_tc: true, answers: [] });
    const connection = await connect();
    connection.send(query("large.example", "A"));
    const [answer] = await connection.answers(1);
    expect(answer?.flag_tc).toBe(false);
    expect(answer?.answers).toHaveLength(200);
    expect(server.asked.map((question) => question.transport)).toEqual(["udp", "tcp"]);
  });

  it("many questions of one connection are answered, though it closes its side and sends them byte by byte", async () => {
    const { connect } = await resolver({ upstream: [await upstream()] });
    const connection = await connect();
    const messages = Array.from({ length: 40 }, (_, index) => query("host.example", "A", { id: index }));
    const bytes = Buffer.concat(messages.flatMap((message) => [Buffer.from([0, message.length]), message]));
    for (const byte of bytes.subarray(0, 60)) connection.socket.write(Buffer.of(byte));
    connection.socket.end(bytes.subarray(60));
    const answers = await connection.answers(40);
    expect(answers.map((answer) => answer.id).sort((a, b) => (a ?? 0) - (b ?? 0))).toEqual(
      messages.map((_, index) => index),
    );
    await connection.closed;
  });

  it("a connection that asks nothing, or claims too much, is closed", async () => {
    const limits = { tcp: { perClient: 8, total: 8, idleMs: 200 } };
    const { connect } = await resolver({ upstream: [await upstream()], limits });
    const [silent, slow, greedy] = [await connect(), await connect(), await connect()];
    const drip = setInterval(() => slow.socket.write(Buffer.of(0)), 20);
    greedy.socket.write(Buffer.from([0xff, 0xff, 0]));
    await Promise.all([silent.closed, slow.closed, greedy.closed]);
    clearInterval(drip);
  });

  it("connections beyond the bound are closed at once", async () => {
    const limits = { tcp: { perClient: 2, total: 8, idleMs: 60_000 } };
    const { connect } = await resolver({ upstream: [await upstream()], limits });
    const kept = [await connect(), await connect()];
    kept[0]?.send(query("host.example", "A"));
    await kept[0]?.answers(1);
    await (await connect()).closed;
    kept[1]?.send(query("host.example", "A"));
    expect(await kept[1]?.answers(1)).toHaveLength(1);
    for (const one of kept) one.socket.destroy();
    await expect
      .poll(async () => {
        const again = await connect();
        again.send(query("host.example", "A"));
        return (await again.answers(1)).length;
      })
      .toBe(1);
  });
});
