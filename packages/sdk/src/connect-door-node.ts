// Node and Deno: undici, of this package's own version, with connections of its own.
import type { LookupAddress, LookupOptions } from "node:dns";
import { lookup as systemLookup } from "node:dns";
import type { LookupFunction, Socket } from "node:net";
import type { RequestInit as UndiciInit } from "undici";
import { Agent, buildConnector, WebSocket as UndiciWebSocket, fetch as undiciFetch } from "undici";
import type { ConnectDoor, DoorOptions } from "./connect-door.ts";
import { isLocalName, signalOf } from "./connect-door.ts";

const LOOPBACK: readonly LookupAddress[] = [
  { address: "127.0.0.1", family: 4 },
  { address: "::1", family: 6 },
];

/** See {@link ConnectDoor}. */
export function openNodeDoor({ ca, closed, http2: allowH2 }: DoorOptions): ConnectDoor {
  const connector = buildConnector({ lookup: lookupLocally, allowH2, ...(ca === undefined ? {} : { ca: [...ca] }) });
  const connections = new Set<Socket>();
  const connect: buildConnector.connector = (options, callback) => {
    connector(options, (...[error, socket]) => {
      if (error !== null) {
        callback(error, null);
        return;
      }
      connections.add(socket);
      socket.once("close", () => connections.delete(socket));
      callback(null, socket);
    });
  };
  // How long an answer may take is the proxy's to say (504), and the caller's by a signal.
  const dispatcher = new Agent({ connect, allowH2, headersTimeout: 0, bodyTimeout: 0 });
  const sockets = new Set<UndiciWebSocket>();
  const closeAll = () => {
    for (const socket of sockets) socket.close();
  };
  closed.addEventListener("abort", closeAll, { once: true });
  return {
    fetch: async (url, init) => {
      const theirs = await undiciFetch(url, {
        ...(await ownForms(init)),
        signal: signalOf(init, closed),
        dispatcher,
      });
      return asGlobal(theirs as unknown as Response);
    },
    webSocket(url, protocols, headers) {
      const socket = new UndiciWebSocket(url, { protocols: [...protocols], headers, dispatcher });
      sockets.add(socket);
      socket.addEventListener("close", () => sockets.delete(socket), { once: true });
      return socket as unknown as WebSocket;
    },
    async close() {
      await dispatcher.destroy();
      // What was upgraded is nobody's but the app's, which need not answer a closing.
      for (const socket of connections) socket.destroy();
    },
  };
}

const lookupLocally: LookupFunction = (hostname, options, callback) => {
  if (!isLocalName(hostname)) {
    systemLookup(hostname, options, callback);
    return;
  }
  const addresses = LOOPBACK.filter(({ family }) => isWanted(family, options.family));
  const [first] = addresses;
  // As the system's does, it answers later and not at once.
  if (options.all === true) process.nextTick(callback, null, addresses);
  else process.nextTick(callback, null, first?.address ?? "", first?.family ?? 0);
};

function isWanted(family: number, wanted: LookupOptions["family"]): boolean {
  return wanted === undefined || wanted === 0 || wanted === family || wanted === `IPv${family}`;
}

/** undici knows its own FormData alone: the runtime's is written out as the runtime would. */
async function ownForms(init: RequestInit): Promise<UndiciInit> {
  const { body } = init;
  if (!(body instanceof FormData)) return init as object;
  const written = new Response(body);
  const headers = new Headers(init.headers);
  headers.set("content-type", written.headers.get("content-type") ?? "");
  return { ...(init as object), headers: [...headers], body: await written.arrayBuffer() };
}

/** Bodies of answers that are collected unread are cancelled, and the answer of undici's own class is what is collected. */
const KEPT = new WeakMap<Response, Response>();

/** The same answer as an instance of the runtime's own class, so that whatever takes a Response takes it. */
function asGlobal(theirs: Response): Response {
  const { status, statusText, headers, body, url, redirected, type } = theirs;
  const ours = new Response(body, { status, statusText, headers: [...headers] });
  KEPT.set(ours, theirs);
  return Object.defineProperties(ours, {
    url: { value: url, enumerable: true },
    redirected: { value: redirected, enumerable: true, configurable: true },
    type: { value: type, enumerable: true },
  });
}
