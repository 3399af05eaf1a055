// Connections that an edge in front hands over unopened: their clients are whom it names, and nobody else may name any.
import { once } from "node:events";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatProxyHeader } from "@sallyport/dataplane/proxy-v2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Place } from "./place.ts";
import { RawClient } from "./raw-client.ts";
import { statusOf, valuesOf } from "./strict-http.ts";

const CLIENT = "198.51.100.7";

let directory: string;
let path: string;
let place: Place;
let token: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "hand-over-"));
  path = join(directory, "hand-over.sock");
  place = await Place.start({ SALLYPORT_CONNECT_HANDOVER_SOCKET: path });
  token = await place.token(place.a);
});

afterAll(async () => {
  await place?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

function header(address = CLIENT): Buffer {
  const destination = { address: "198.51.100.1", port: 7_443 };
  return formatProxyHeader({ kind: "tcp", source: { address, port: 51_234 }, destination });
}

async function handedOver(address?: string): Promise<Socket> {
  const socket = connect({ path, allowHalfOpen: true });
  await once(socket, "connect");
  socket.write(header(address));
  return socket;
}

const request = (...lines: readonly string[]) =>
  place.fill(`${["GET / HTTP/1.1", "Host: {H}", "{A}", ...lines].join("\r\n")}\r\n\r\n`, place.a, token);

async function statusFor(address?: string): Promise<number> {
  using client = await RawClient.connect(place, place.a.name, ["http/1.1"], await handedOver(address));
  client.send(request());
  return statusOf(await client.answer());
}

describe("a connection that is handed over", () => {
  it("is the client's that its header names, whatever that client says", async () => {
    place.a.app.forget();
    using client = await RawClient.connect(place, place.a.name, ["http/1.1"], await handedOver());
    client.send(request("X-Forwarded-For: 10.0.0.1"));
    expect(statusOf(await client.answer())).toBe(200);
    const [seen] = place.a.app.requests;
    if (seen === undefined) throw new Error("the app was asked");
    expect(valuesOf(seen, "X-Forwarded-For")).toEqual([CLIENT]);
  });

  it("may choose HTTP/2", async () => {
    using client = await RawClient.connect(place, place.a.name, ["h2"], await handedOver());
    expect(client.socket.alpnProtocol).toBe("h2");
    await client.until(() => client.received.length >= 9); // the server's SETTINGS
    expect(client.received[3]).toBe(4);
  });

  it("comes where its client may come", async () => {
    const only = (...cidrs: string[]) =>
      place.edge.tellAll({ routes: [place.route(place.a, { inboundCidrAllowlist: { cidrs } })] });
    await only("198.51.100.0/24");
    expect([await statusFor(), await statusFor("2001:db8::7"), await statusFor("127.0.0.1")]).toEqual([200, 403, 403]);
    await only("127.0.0.0/8");
    expect(await statusFor()).toBe(403);
    await place.edge.tellAll({ routes: [place.route(place.a)] });
  });

  it("is nobody's at the listener, where a header is no hello", async () => {
    const socket = connect({ host: "127.0.0.1", port: place.port });
    socket.end(header());
    const [alert] = (await once(socket, "data")) as [Buffer];
    expect(alert).toEqual(Buffer.from([21, 3, 3, 0, 2, 2, 50])); // decode_error
    socket.destroy();
  });

  it("has to say whose it is", async () => {
    const socket = connect({ path });
    await expect(RawClient.connect(place, place.a.name, ["http/1.1"], socket)).rejects.toThrow();
  });
});

describe("the hand-over socket", () => {
  it("is its group's, and is gone with its proxy", async () => {
    expect((await stat(path)).mode & 0o777).toBe(0o660);
    const own = join(directory, "other.sock");
    {
      await using other = await Place.start({ SALLYPORT_CONNECT_HANDOVER_SOCKET: own });
      expect(other.port).toBeGreaterThan(0);
      expect((await stat(own)).isSocket()).toBe(true);
    }
    await expect(stat(own)).rejects.toThrow("ENOENT");
  });

  it("takes the place of one that nobody answers at, and of nothing else", async () => {
    const stale = join(directory, "stale.sock");
    const left = createServer().listen(stale);
    await once(left, "listening");
    await expect(Place.start({ SALLYPORT_CONNECT_HANDOVER_SOCKET: stale })).rejects.toThrow("another edge runs");
    left.close();
    const file = join(directory, "file");
    await writeFile(file, "mine");
    await expect(Place.start({ SALLYPORT_CONNECT_HANDOVER_SOCKET: file })).rejects.toThrow("is no socket");
  });
});
