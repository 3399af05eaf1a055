// A caller over HTTP: by fetch where it behaves, by a bare socket where it does not.
import { once } from "node:events";
import { connect } from "node:net";
import type { JsonObject } from "@sallyport/contracts/json";

/** What came back, read to its end. */
export interface RestAnswer {
  readonly status: number;
  readonly type: string;
  readonly headers: Headers;
  readonly json: JsonObject;
}

/** What goes out beside verb and path. */
export interface RestRequest {
  readonly token?: string;
  /** Sent as JSON unless it is text already. */
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

/** Calls one listener of the loopback. */
export class RestClient {
  readonly url: string;
  readonly port: number;

  constructor(port: number) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  fetch(
    verb: string,
    path: string,
    { token, body, headers }: RestRequest = {},
    signal?: AbortSignal,
  ): Promise<Response> {
    return fetch(`${this.url}${path}`, {
      method: verb,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async call(verb: string, path: string, request: RestRequest = {}): Promise<RestAnswer> {
    const { headers, ...response } = await answerOf(await this.fetch(verb, path, request));
    return { ...response, headers };
  }

  /** The events of a stream until it ends, or until `enough` says so. */
  async events(
    path: string,
    request: RestRequest,
    enough: (seen: readonly SeenEvent[]) => boolean = () => false,
  ): Promise<SeenEvent[]> {
    const stop = new AbortController();
    const response = await this.fetch("GET", path, request, stop.signal);
    if (response.status !== 200 || response.body === null) throw new Error(await response.text());
    const seen: SeenEvent[] = [];
    let text = "";
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const blocks = text.split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) if (!block.startsWith(":")) seen.push(eventOf(block));
      if (enough(seen)) break;
    }
    stop.abort();
    return seen;
  }

  /** Sends bytes as they are; resolves with all that comes back until the server closes, or `enough` is there. */
  async raw(bytes: string | Buffer, enough?: RegExp, withinMs = 15_000): Promise<string> {
    const socket = connect(this.port, "127.0.0.1");
    let seen = "";
    socket.setTimeout(withinMs, () => socket.destroy(new Error(`no answer within ${withinMs} ms: ${seen}`)));
    socket.on("data", (chunk: Buffer) => {
      seen += chunk.toString("latin1");
      if (enough?.test(seen) === true) socket.destroy();
    });
    socket.write(bytes);
    await once(socket, "close");
    return seen;
  }
}

/** A server-sent event. */
export interface SeenEvent {
  readonly id?: string;
  readonly event?: string;
  readonly data: JsonObject;
}

function eventOf(block: string): SeenEvent {
  const lines = block
    .split("\n")
    .map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]);
  const fields = Object.fromEntries(lines) as Record<string, string>;
  return { ...fields, data: JSON.parse(fields["data"] ?? "{}") as JsonObject };
}

async function answerOf(response: Response): Promise<RestAnswer> {
  const { headers, status } = response;
  const text = await response.text();
  return {
    status,
    headers,
    type: headers.get("content-type") ?? "",
    json: JSON.parse(text === "" ? "{}" : text) as JsonObject,
  };
}
