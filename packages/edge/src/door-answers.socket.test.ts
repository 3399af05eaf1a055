// What an edge may answer to a ClientHello, as its client sees it.
import { once } from "node:events";
import type { Socket } from "node:net";
import { connect as connectTcp } from "node:net";
import { connect } from "node:tls";
import type { AlertName } from "@sallyport/dataplane/client-hello";
import { formatAlert } from "@sallyport/dataplane/client-hello";
import { formatProxyHeader } from "@sallyport/dataplane/proxy-v2";
import { describe, expect, it, vi } from "vitest";
import { dial, greet, HOST, helloOf, rawDial, readAll } from "../test/clients.ts";
import { startDoor } from "../test/door.ts";
import type { Answer, ClientEnds, DoorRefusal, UnopenedConnection } from "./door-answer.ts";

describe("an edge that refuses", () => {
  it.each<[DoorRefusal, AlertName]>([
    ["not-allowed", "unrecognized_name"],
    ["alpn", "no_application_protocol"],
    ["sandbox", "internal_error"],
  ])("%s says %s, and shows no certificate", async (reason, alert) => {
    await using door = await startDoor({ answer: () => ({ kind: "refuse", reason, alert, way: "there" }) });
    const socket = await rawDial(door);
    socket.write(await helloOf(HOST));
    expect(await readAll(socket)).toEqual(formatAlert(alert));
    expect([door.refused, door.api.certified, door.admission.open]).toEqual([[reason], [], 0]);
    expect(door.turnedAway).toMatchObject([{ reason, way: "there", client: { source: { address: "127.0.0.1" } } }]);
  });

  it("is asked what the client wants, and from where", async () => {
    const asked: unknown[] = [];
    const answer: Answer<string> = ({ alpn, serverName }, { source, destination }) => {
      asked.push({ alpn, serverName, source, destination });
      return { kind: "refuse", reason: "server-name", alert: "unrecognized_name" };
    };
    await using door = await startDoor({ answer });
    const socket = dial(door, { servername: "Some.Name.", ALPNProtocols: ["h2", "x/1"] });
    await expect(once(socket, "secureConnect")).rejects.toThrow();
    await greet(door, { servername: "" });
    expect(asked).toMatchObject([
      {
        alpn: ["h2", "x/1"],
        serverName: "some.name",
        source: { address: "127.0.0.1" },
        destination: { address: "127.0.0.1", port: door.port },
      },
      { alpn: [], serverName: undefined },
    ]);
  });

  it("is not asked about a name that no host can have", async () => {
    let asked = 0;
    await using door = await startDoor({
      answer: () => {
        asked += 1;
        return { kind: "refuse", reason: "server-name", alert: "unrecognized_name" };
      },
    });
    expect(await greet(door, { servername: "a_b.localhost" })).toBe("ERR_SSL_TLSV1_UNRECOGNIZED_NAME");
    expect([asked, door.refused]).toEqual([0, ["server-name"]]);
  });

  it("never shakes hands with who names no host, whatever it answers", async () => {
    const answer: Answer<string> = () => ({ kind: "handshake", way: "any", sandboxId: "sb", alpn: [] });
    await using door = await startDoor({ answer });
    expect(await greet(door, { servername: "" })).toBe("ERR_SSL_TLSV1_UNRECOGNIZED_NAME");
    expect([door.entered, door.api.certified]).toEqual([[], []]);
  });
});

describe("an edge that hands over", () => {
  /** An edge that does, with what it was given. */
  async function handingOver() {
    const taken: UnopenedConnection[] = [];
    const door = await startDoor({
      answer: () => ({ kind: "hand-over", take: (connection) => taken.push(connection) }),
      sendsProxyHeader: (address) => address === "127.0.0.8",
    });
    return { door, taken };
  }

  /** The first byte goes alone, and so does the last. */
  async function sayInPieces(socket: Socket, bytes: Buffer): Promise<void> {
    socket.setNoDelay(true);
    socket.write(bytes.subarray(0, 1));
    await new Promise((resolve) => setImmediate(resolve));
    socket.write(bytes.subarray(1, -1));
    await new Promise((resolve) => setImmediate(resolve));
    socket.write(bytes.subarray(-1));
  }

  it("gives the connection on as it came, unopened, and is asked for nothing else", async () => {
    const { door, taken } = await handingOver();
    await using _door = door;
    const hello = await helloOf(HOST);
    const socket = await rawDial(door);
    await sayInPieces(socket, hello);
    await vi.waitFor(() => expect(taken).toHaveLength(1));
    const [connection] = taken;
    expect(connection?.bytes).toEqual(hello);
    expect(connection?.socket.isPaused()).toBe(true);
    expect(connection?.client.source).toEqual({ address: "127.0.0.1", port: socket.localPort });
    // What follows is left for whoever has it now, also the end of the client's half.
    socket.end("more");
    const rest = readAll(connection?.socket as Socket);
    connection?.socket.resume();
    await vi.waitFor(() => expect(connection?.socket.readableEnded).toBe(true));
    connection?.socket.write("answer");
    expect(String((await once(socket, "data"))[0])).toBe("answer");
    expect([door.admission.open, door.admission.handshakes]).toEqual([1, 0]);
    connection?.socket.destroy();
    expect((await rest).toString()).toBe("more");
    await vi.waitFor(() => expect(door.admission.open).toBe(0));
    expect([door.refused, door.api.certified]).toEqual([[], []]);
  });

  it("gives on what a client says at once behind its hello", async () => {
    const { door, taken } = await handingOver();
    await using _door = door;
    const bytes = Buffer.concat([await helloOf(HOST), Buffer.from("and more")]);
    const socket = await rawDial(door);
    socket.write(bytes);
    await vi.waitFor(() => expect(taken).toHaveLength(1));
    expect(taken[0]?.bytes).toEqual(bytes);
    socket.destroy();
    taken[0]?.socket.destroy();
  });

  it("has no hold on it any more: neither times nor its own end cut it", async () => {
    const { door, taken } = await handingOver();
    await using _door = door;
    const socket = await rawDial(door);
    socket.write(await helloOf(HOST));
    await vi.waitFor(() => expect(taken).toHaveLength(1));
    door.door[Symbol.dispose]();
    taken[0]?.socket.write("still there");
    expect(String((await once(socket, "data"))[0])).toBe("still there");
    const [connection] = taken;
    expect(connection?.socket.listenerCount("data")).toBe(0);
    socket.destroy();
    connection?.socket.destroy();
  });

  it("says from where the client comes that a header names", async () => {
    const { door, taken } = await handingOver();
    await using _door = door;
    const client: ClientEnds = {
      source: { address: "198.51.100.7", port: 4_711 },
      destination: { address: "198.51.100.1", port: 443 },
    };
    const hello = await helloOf(HOST);
    const socket = await rawDial(door, "127.0.0.8");
    socket.write(Buffer.concat([formatProxyHeader({ kind: "tcp", ...client }), hello]));
    await vi.waitFor(() => expect(taken).toHaveLength(1));
    expect([taken[0]?.client, taken[0]?.bytes]).toEqual([client, hello]);
    socket.destroy();
    taken[0]?.socket.destroy();
  });
});

describe("two edges on one address", () => {
  it("a connection that one hands over to the other is opened by it, for the client that came", async () => {
    await using behind = await startDoor();
    await using front = await startDoor({
      answer: () => ({
        kind: "hand-over",
        take({ bytes, client, socket }) {
          const onward = connectTcp({ path: behind.handOverPath });
          for (const one of [onward, socket]) one.on("error", () => one.destroy());
          onward.write(Buffer.concat([formatProxyHeader({ kind: "tcp", ...client }), bytes]));
          socket.pipe(onward).pipe(socket);
        },
      }),
    });
    const transport = await rawDial(front, "127.0.0.9");
    const socket = connect({ socket: transport, servername: HOST, ca: behind.authority.pem });
    expect(String((await once(socket, "data"))[0])).toBe(`hello ${HOST}\n`);
    expect(behind.entered.map(({ peerAddress }) => peerAddress)).toEqual(["127.0.0.9"]);
    socket.destroy();
    await vi.waitFor(() => expect([front.admission.open, behind.admission.open]).toEqual([0, 0]));
  });
});
