// The supervisor's own door: HTTP over a Unix socket that only root can open.
import { chmod, rm } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { ChildStatus } from "./child.ts";

/** What GET /status answers. */
export interface PlatformStatus {
  readonly state: "starting" | "ready" | "stopping";
  readonly pid: number;
  readonly platformId: string;
  readonly apiUrl: string;
  /** Base URL of the same over HTTP. */
  readonly restUrl: string;
  readonly children: readonly ChildStatus[];
}

export interface ControlOptions {
  readonly socketPath: string;
  status(): PlatformStatus;
  /** Ends every sandbox and whatever else outlives a stop, then stops. */
  down(): Promise<void>;
  /** Stops; sandboxes go on running. */
  stop(): void;
  /** Replaces the processes of an edge one after the other, without a gap; false where no edge has this name. */
  restart(name: string): Promise<boolean>;
}

const RESTART = "/restart/";

/** Starts the control socket. Its caller holds the lock of this home: a socket that is there is a dead one's. */
export async function startControl(options: ControlOptions): Promise<AsyncDisposable> {
  await rm(options.socketPath, { force: true });
  const server = createServer((incoming, response) => {
    const answer = (status: number, body: object) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(`${JSON.stringify(body)}\n`);
    };
    const { method, url = "" } = incoming;
    if (method === "POST" && url.startsWith(RESTART)) {
      options.restart(url.slice(RESTART.length)).then(
        (isThere) => answer(isThere ? 200 : 404, isThere ? options.status() : { error: "no such edge" }),
        (error: unknown) => answer(409, { error: messageOf(error) }),
      );
      return;
    }
    switch (`${method} ${url}`) {
      case "GET /status":
        answer(200, options.status());
        return;
      case "POST /stop":
        answer(202, options.status());
        options.stop();
        return;
      case "POST /down":
        options.down().then(
          () => {
            answer(200, { state: "down" });
            options.stop();
          },
          (error: unknown) => {
            answer(500, { error: messageOf(error) });
            options.stop(); // a second `down` starts afresh, with nothing in the way
          },
        );
        return;
      default:
        answer(404, { error: "GET /status, POST /stop, POST /restart/EDGE or POST /down" });
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.socketPath, resolve);
  });
  await chmod(options.socketPath, 0o600);
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      await closed;
      await rm(options.socketPath, { force: true });
    },
  };
}

/** Whether anybody answers at a control socket. */
export function isAnswered(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = request({ socketPath, path: "/status", timeout: 2_000 }, (response) => {
      response.resume();
      resolve(true);
    });
    probe.on("timeout", () => probe.destroy(new Error("no answer")));
    probe.on("error", () => resolve(false));
    probe.end();
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
