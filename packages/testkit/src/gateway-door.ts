// A gateway's open socket for tests: answers CONNECT in the form of packages/dataplane, and relays to ports of the loopback
// that stand for the ports of sandboxes.
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { Socket } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ConnectRequest, ConnectStatus } from "@sallyport/dataplane";
import {
  formatConnectAnswer,
  MAX_CONNECT_HEAD_BYTES,
  mapResets,
  parseConnectRequest,
  readHead,
  relay,
} from "@sallyport/dataplane";

/** What stands behind a port of a sandbox: a port of 127.0.0.1, or the status that the gateway refuses with. */
export type BehindPort = { readonly loopbackPort: number } | { readonly refuse: Exclude<ConnectStatus, 200> };

export interface GatewayDoor extends AsyncDisposable {
  /** Path of the socket. */
  readonly path: string;
  /** Every request that came in shape, in order. */
  readonly requests: readonly ConnectRequest[];
  /** Connections that are open. */
  readonly open: number;
  /** From now on this stands behind the port of the instance. */
  lead(instanceId: string, port: number, behind: BehindPort): void;
  /** Cuts every connection into an instance, as when its sandbox ends. */
  cut(instanceId: string): void;
}

/** Ports that lead nowhere are refused: 404 for an instance without any, 502 for another port of one that has some. */
export async function startGatewayDoor(): Promise<GatewayDoor> {
  const directory = await mkdtemp(join(tmpdir(), "sallyport-gateway-door-"));
  const path = join(directory, "open.sock");
  const ways = new Map<string, Map<number, BehindPort>>();
  const requests: ConnectRequest[] = [];
  const open = new Map<Socket, string>();
  const stop = new AbortController();

  const serve = async (client: Socket): Promise<void> => {
    const head = await readHead(client, MAX_CONNECT_HEAD_BYTES, stop.signal);
    const request = parseConnectRequest(head ?? "");
    if (request === undefined) return refuse(client, 400);
    requests.push(request);
    const { grantPort, instanceId, port } = request;
    if (grantPort !== port) return refuse(client, 403);
    const instance = ways.get(instanceId);
    if (instance === undefined) return refuse(client, 404);
    const behind = instance.get(port) ?? { refuse: 502 };
    if ("refuse" in behind) return refuse(client, behind.refuse);
    const upstream = await dial(behind.loopbackPort);
    if (upstream === undefined) return refuse(client, 502);
    client.write(formatConnectAnswer(200, ""));
    open.set(client, instanceId);
    mapResets({ stream: client }, { stream: upstream });
    await relay(client, upstream, { signal: stop.signal });
    open.delete(client);
  };
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    client.on("error", ignoreBecauseCloseFollows);
    serve(client).catch(() => client.destroy());
  });
  server.listen(path);
  await once(server, "listening");
  return {
    path,
    requests,
    get open() {
      return open.size;
    },
    lead(instanceId, port, behind) {
      const instance = ways.get(instanceId) ?? new Map<number, BehindPort>();
      ways.set(instanceId, instance.set(port, behind));
    },
    cut(instanceId) {
      for (const [client, id] of open) if (id === instanceId) client.destroy();
    },
    async [Symbol.asyncDispose]() {
      stop.abort(new Error("the door is closed"));
      for (const client of open.keys()) client.destroy();
      server.close();
      await once(server, "close");
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function dial(port: number): Promise<Socket | undefined> {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
  try {
    await once(socket, "connect");
  } catch {
    return undefined; // refused: nothing listens
  }
  socket.on("error", ignoreBecauseCloseFollows);
  return socket;
}

function refuse(client: Socket, status: Exclude<ConnectStatus, 200>): void {
  client.end(formatConnectAnswer(status, "refused by the door"), () => client.destroy());
}

function ignoreBecauseCloseFollows(): void {
  // "close" comes right after "error", and is what ends the connection.
}
