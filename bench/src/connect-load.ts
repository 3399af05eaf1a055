// Load on a front by programs that nobody here wrote: wrk for HTTP/1.1, h2load for HTTP/2, curl for one long body.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./command.ts";
import type { ConnectFront } from "./connect-front.ts";
import type { ConnectWorld } from "./connect-world.ts";

export const WRK = "/usr/bin/wrk";
export const H2LOAD = "/usr/bin/h2load";

/** What a load found. */
export interface Loaded {
  readonly requests: number;
  /** Of the answers; NaN where the program does not say. */
  readonly p99Ms: number;
}

export interface WrkOptions {
  readonly connections: number;
  readonly seconds: number;
  readonly tls: boolean;
}

/** Every request gets the next token. Throws where an answer is not a 2xx, or a connection fails. */
export async function wrk(world: ConnectWorld, front: ConnectFront, options: WrkOptions): Promise<Loaded> {
  const { connections, seconds, tls } = options;
  const script = join(world.directory, `${front.name}.lua`);
  await writeFile(script, scriptFor(front));
  const url = `${tls ? "https" : "http"}://${front.host}:${front.port}/`;
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "10s", "-s", script, url];
  const output = await inWorld(world, WRK, args);
  const [, requests = "", p99Us = "", failed = ""] = /^found (\d+) (\d+) (\d+)$/m.exec(output) ?? [];
  if (failed !== "0" || requests === "0") throw new Error(`${front.name} failed requests:\n${output}`);
  return { requests: Number(requests), p99Ms: Number(p99Us) / 1_000 };
}

/** Each client has a token of its own and asks for one thing at a time. */
export async function h2load(
  world: ConnectWorld,
  front: ConnectFront,
  clients: number,
  requestsOfEach: number,
): Promise<Loaded> {
  const url = `https://${front.host}:${front.port}/`;
  const outputs = await Promise.all(
    Array.from({ length: clients }, (_, index) => {
      const token = front.tokens[index % Math.max(1, front.tokens.length)];
      const header = token === undefined ? [] : ["-H", `authorization: Bearer ${token}`];
      return inWorld(world, H2LOAD, ["-n", String(requestsOfEach), "-c1", "-t1", "-m1", ...header, url]);
    }),
  );
  for (const output of outputs) {
    if (!output.includes(`status codes: ${requestsOfEach} 2xx`)) throw new Error(`${front.name}: ${output}`);
  }
  return { requests: clients * requestsOfEach, p99Ms: Number.NaN };
}

export interface TransferOptions {
  readonly way: "down" | "up";
  readonly bytes: number;
  /** Path of a file of so many bytes. */
  readonly upload: string;
  readonly tls: boolean;
}

/** One body of so many bytes, down or up. Throws where another number of bytes goes through. */
export async function transfer(world: ConnectWorld, front: ConnectFront, options: TransferOptions): Promise<void> {
  const { bytes, tls, upload, way } = options;
  const url = `${tls ? "https" : "http"}://${front.host}:${front.port}/${way === "down" ? bytes : ""}`;
  const [token] = front.tokens;
  const header = token === undefined ? [] : ["-H", `authorization: Bearer ${token}`];
  const body = way === "down" ? [] : ["-T", upload, "-H", "expect:"];
  const what = ["-o", "/dev/null", "-w", "%{http_code} %{size_download} %{size_upload}"];
  const common = ["-s", "--http1.1", "--cacert", world.certificate.certPath];
  const output = await inWorld(world, "curl", [...common, ...header, ...body, ...what, url]);
  const [status, down, up] = output.split(" ");
  if (status !== "200" || Number(way === "down" ? down : up) !== bytes) {
    throw new Error(`${front.name}: status ${status}, ${down} bytes down, ${up} up`);
  }
}

/** With the world's host in place of the machine's: in a mount namespace, so that nothing is left of it. */
function inWorld({ hostsPath }: ConnectWorld, program: string, args: readonly string[]): Promise<string> {
  const command = 'mount --bind "$0" /etc/hosts && exec "$@"';
  return run("unshare", ["--mount", "--propagation", "private", "sh", "-c", command, hostsPath, program, ...args]);
}

function scriptFor({ tokens }: ConnectFront): string {
  const list = tokens.map((token) => `  "${token}",`).join("\n");
  return `local tokens = {
${list}
}
local requests = {}
local at = 0
init = function(args)
  if #tokens == 0 then requests[1] = wrk.format("GET", "/") end
  for i, token in ipairs(tokens) do
    requests[i] = wrk.format("GET", "/", { Authorization = "Bearer " .. token })
  end
end
request = function()
  at = at % #requests + 1
  return requests[at]
end
done = function(summary, latency, requests)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format("found %d %d %d\\n", summary.requests, latency:percentile(99), failed))
end
`;
}
