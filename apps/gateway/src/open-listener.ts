// The socket at which edges ask for connections into sandboxes: HTTP CONNECT in the form of packages/dataplane, answered
// by a status and, after a 200, by the sandbox's bytes.
import { chmod, rm } from "node:fs/promises";
import type { Server, Socket } from "node:net";
import { createServer } from "node:net";
import type { Logger } from "@sallyport/appkit/logger";
import type { ConnectStatus } from "@sallyport/dataplane";
import {
  Deadline,
  formatConnectAnswer,
  MAX_CONNECT_HEAD_BYTES,
  mapResets,
  noticeGonePeer,
  parseConnectRequest,
  readHead,
  relay,
} from "@sallyport/dataplane";
import { CONNECT_HEAD_MS, MAX_PENDING_HEADS, STUCK_MS } from "./limits.ts";
import type { Opener } from "./open.ts";
import { OpenRefused } from "./open.ts";

export interface OpenListenerOptions {
  readonly socketPath: string;
  readonly opener: Opener;
  readonly logger: Logger;
}

/** Group and owner may connect: the group is the edges'. */
const SOCKET_MODE = 0o660;
const MAX_OPEN_CONNECTIONS = 16_384;

/** Listens; disposal cuts every connection that came in here. */
export async function startOpenListener(options: OpenListenerOptions): Promise<AsyncDisposable> {
  const { logger, socketPath } = options;
  const stop = new AbortController();
  const open = new Set<Promise<void>>();
  let pendingHeads = 0;
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    client.on("error", ignoreBecauseCloseFollows);
    if (pendingHeads >= MAX_PENDING_HEADS || open.size >= MAX_OPEN_CONNECTIONS) {
      refuse(client, 503, "too many connections");
      return;
    }
    pendingHeads += 1;
    const serving = serve(client, options, stop.signal, () => {
      pendingHeads -= 1;
    })
      .catch((error: unknown) => {
        client.destroy();
        if (!stop.signal.aborted) logger.error({ err: error }, "a connection failed");
      })
      .finally(() => open.delete(serving));
    open.add(serving);
  });
  await listen(server, socketPath);
  server.on("error", (error) => logger.error({ err: error }, "the open socket failed"));
  return {
    async [Symbol.asyncDispose]() {
      stop.abort(new Error("the gateway is stopping"));
      server.close();
      await Promise.all(open);
    },
  };
}

async function serve(
  client: Socket,
  { logger, opener }: OpenListenerOptions,
  signal: AbortSignal,
  onHead: () => void,
): Promise<void> {
  const request = await receive(client, signal).finally(onHead);
  if (request === undefined) {
    refuse(client, 400, "not a CONNECT request in the form of this socket");
    return;
  }
  const startedAtMs = performance.now();
  const { instanceId, port } = request;
  const gone = new AbortController();
  const onClose = () => gone.abort(new Error("the client went away"));
  client.once("close", onClose);
  let upstream: Socket;
  try {
    upstream = await opener.open(request, AbortSignal.any([signal, gone.signal]));
  } catch (error) {
    if (!(error instanceof OpenRefused)) {
      client.destroy();
      if (gone.signal.aborted) return;
      throw error;
    }
    logger.debug({ instanceId, port, status: error.status, problem: error.message }, "connection refused");
    refuse(client, error.status, error.message);
    return;
  } finally {
    client.off("close", onClose);
  }
  client.write(formatConnectAnswer(200, ""));
  mapResets({ stream: client }, { stream: upstream });
  noticeGonePeer({ stream: client }, { stuckMs: STUCK_MS });
  const { backwardBytes, end, forwardBytes } = await relay(client, upstream, { signal });
  const ms = Math.round(performance.now() - startedAtMs);
  // Strangers come as often as they like: who came the edges write down, within bounds.
  logger.debug({ instanceId, port, end, inBytes: forwardBytes, outBytes: backwardBytes, ms }, "connection");
}

/** The request, or undefined when none came in shape and in time. */
async function receive(client: Socket, signal: AbortSignal) {
  using deadline = new Deadline(CONNECT_HEAD_MS, signal);
  try {
    const head = await readHead(client, MAX_CONNECT_HEAD_BYTES, deadline.signal);
    return parseConnectRequest(head ?? "");
  } catch (error) {
    if (signal.aborted) throw error;
    return undefined;
  }
}

function refuse(client: Socket, status: Exclude<ConnectStatus, 200>, message: string): void {
  client.end(formatConnectAnswer(status, message), () => client.destroy());
}

async function listen(server: Server, path: string): Promise<void> {
  await rm(path, { force: true }); // a killed predecessor leaves its socket file behind
  const listening = Promise.withResolvers<void>();
  server.once("error", listening.reject);
  server.listen(path, () => listening.resolve());
  await listening.promise;
  server.off("error", listening.reject);
  await chmod(path, SOCKET_MODE); // until here the directory's mode keeps others out
}

function ignoreBecauseCloseFollows(): void {
  // "close" comes right after "error", and is what ends the connection.
}
