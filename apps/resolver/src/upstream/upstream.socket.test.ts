// Asking the host's resolvers: which, how, when the next one, and whose word is taken.
import { createSocket } from "node:dgram";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@sallyport/appkit/clock";
import { silentLogger } from "@sallyport/appkit/logger";
import { type DnsQuestion, type DnsReply, type DnsServer, startDnsServer } from "@sallyport/testkit/dns-server";
import { afterEach, describe, expect, it } from "vitest";
import { question } from "../../test/messages.ts";
import { TYPE } from "../message/wire.ts";
import { fixedServers, parseServer, type Server, serverText, watchedServers } from "./servers.ts";
import { Upstream, UpstreamError } from "./upstream.ts";

let stack = new AsyncDisposableStack();

afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

type Respond = (question: DnsQuestion) => DnsReply | readonly DnsReply[] | undefined;

async function server(respond: Respond): Promise<DnsServer> {
  return stack.use(await startDnsServer({ respond }));
}

function upstream(...servers: readonly Pick<DnsServer, "address">[]): Upstream {
  const list = fixedServers(servers.map(({ address }) => parseServer(address) as Server));
  return new Upstream({ list, clock: systemClock, logger: silentLogger, timeoutMs: 300 });
}

const ASKED = question("host.example", TYPE.A);
const signal = new AbortController().signal;
const reply = (last: number, more: DnsReply = {}): DnsReply => ({
  answers: [{ type: "A", name: "host.example", data: `198.51.100.${last}`, ttl: 60 }],
  ...more,
});
const addressOf = async (from: Upstream): Promise<string> => {
  const { records } = await from.ask(ASKED, signal);
  return records.map((record) => record.data.join(".")).join();
};

describe("an answer", () => {
  it("is taken only with the id and the question that were sent", async () => {
    const forged = [
      reply(1, { id: -1 }),
      reply(2, { question: { name: "other.example", type: "A" } }),
      reply(3, { question: { name: "host.example", type: "AAAA" } }),
      { raw: Buffer.from("nonsense") },
    ];
    const honest = await server(({ packet }) => [
      ...forged.map((one) => (one.id === undefined ? one : { ...one, id: ((packet.id ?? 0) + 1) % 0x10000 })),
      reply(7),
    ]);
    expect(await addressOf(upstream(honest))).toBe("198.51.100.7");
  });

  it("is not taken from another address or port", async () => {
    const stranger = createSocket("udp4");
    stack.defer(() => new Promise<void>((resolve) => stranger.close(resolve)));
    const honest = await server(() => undefined);
    let forgedAt = 0;
    // The stranger sees the query, which no stranger does, and still is not heard: its port is another.
    const seen = createSocket("udp4");
    stack.defer(() => new Promise<void>((resolve) => seen.close(resolve)));
    await new Promise<void>((resolve) => seen.bind(0, "127.0.0.1", resolve));
    seen.on("message", (message, peer) => {
      const answer = Buffer.from(message);
      answer[2] = 0x81;
      answer[3] = 0x80;
      forgedAt = peer.port;
      stranger.send(answer, peer.port, peer.address);
    });
    const silent = upstream({ address: `127.0.0.1:${seen.address().port}` }, honest);
    await expect(silent.ask(ASKED, signal)).rejects.toThrow(UpstreamError);
    expect(forgedAt).toBeGreaterThan(0);
  });

  it("comes over TCP where UDP cuts it off", async () => {
    const one = await server(({ transport }) => (transport === "udp" ? { truncated: true } : reply(8)));
    expect(await addressOf(upstream(one))).toBe("198.51.100.8");
    expect(one.asked.map((each) => each.transport)).toEqual(["udp", "tcp"]);
  });

  it("of an older server is asked for again without EDNS, once", async () => {
    const old = await server(({ packet }) => ((packet.additionals?.length ?? 0) > 0 ? { rcode: 1 } : reply(9)));
    const from = upstream(old);
    expect(await addressOf(from)).toBe("198.51.100.9");
    expect(await addressOf(from)).toBe("198.51.100.9");
    expect(old.asked).toHaveLength(3);
  });
});

describe("the next server is asked", () => {
  const closed = { address: "127.0.0.1:1" };

  it.each<[string, Respond]>([
    ["is silent", () => undefined],
    ["fails", () => ({ rcode: 2 })],
    ["refuses", () => ({ rcode: 5 })],
    ["cuts off over TCP too", () => ({ truncated: true, raw: undefined }) as unknown as DnsReply],
    ["answers what breaks the format", ({ packet }) => ({ raw: broken(packet.id ?? 0) })],
  ])("where one %s", async (_, respond) => {
    const first = await server(respond);
    const second = await server(() => reply(2));
    expect(await addressOf(upstream(first, second))).toBe("198.51.100.2");
    expect(first.asked.length).toBeGreaterThan(0);
  });

  it("where nobody listens", async () => {
    expect(await addressOf(upstream(closed, await server(() => reply(2))))).toBe("198.51.100.2");
  });

  it("first, while the one before it does not answer", async () => {
    let heard = false;
    const first = await server(() => (heard ? reply(1) : undefined));
    const second = await server(() => reply(2));
    const from = upstream(first, second);
    for (let count = 0; count < 3; count += 1) await addressOf(from);
    const before = first.asked.length;
    expect(await addressOf(from)).toBe("198.51.100.2");
    expect(first.asked).toHaveLength(before);
    heard = true;
    await second[Symbol.asyncDispose]();
    expect(await addressOf(from)).toBe("198.51.100.1");
  });
});

describe("no answer", () => {
  it("is an error, after every server had its time", async () => {
    const silent = await server(() => undefined);
    const failing = await server(() => ({ rcode: 2 }));
    await expect(upstream(silent, failing, { address: "127.0.0.1:1" }).ask(ASKED, signal)).rejects.toThrow(
      UpstreamError,
    );
    expect(silent.asked).toHaveLength(2);
    expect(failing.asked).toHaveLength(1);
  });

  it("is waited for no longer where the asking is broken off", async () => {
    const silent = await server(() => undefined);
    const stop = new AbortController();
    const asked = upstream(silent).ask(ASKED, stop.signal);
    await expect.poll(() => silent.asked.length).toBe(1);
    stop.abort(new Error("stopped"));
    await expect(asked).rejects.toThrow("stopped");
  });
});

describe("watchedServers", () => {
  it("follows the file: written, replaced, gone", async () => {
    const directory = await mkdtemp(join(tmpdir(), "sallyport-resolver-"));
    stack.defer(() => rm(directory, { recursive: true }));
    const path = join(directory, "resolv.conf");
    const list = stack.use(watchedServers(path, silentLogger));
    const servers = () => list.servers.map(serverText);
    expect(servers()).toEqual(["127.0.0.1:53"]);
    await writeFile(path, "nameserver 198.51.100.53\n");
    await expect.poll(servers, { timeout: 10_000 }).toEqual(["198.51.100.53:53"]);
    await writeFile(`${path}.new`, "nameserver 2001:db8::53\n");
    await rename(`${path}.new`, path);
    await expect.poll(servers, { timeout: 10_000 }).toEqual(["[2001:db8::53]:53"]);
    await rm(path);
    await writeFile(path, "nameserver 198.51.100.54\n");
    await expect.poll(servers, { timeout: 10_000 }).toEqual(["198.51.100.54:53"]);
  });
});

/** An answer with the right head and question, and a record that is cut off. */
function broken(id: number): Buffer {
  const head = Buffer.from([id >> 8, id & 255, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
  return Buffer.concat([head, ASKED.name, Buffer.from([0, 1, 0, 1, 0xc0, 12, 0])]);
}
