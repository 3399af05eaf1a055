// Programs that nobody here wrote: curl, nghttp, h2load.
import { execFile, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { World } from "./world.ts";
import { HOST, startWorld } from "./world.ts";

const run = promisify(execFile);
const large = randomBytes(4 * 1_048_576);
const cleanUp = new AsyncDisposableStack();
let world: World;
let folder: string;

beforeAll(async () => {
  world = cleanUp.use(
    await startWorld({
      app: (request, response) => {
        if (request.url === "/large") {
          response.end(large);
          return;
        }
        if (request.url === "/no") {
          // Answered before its body is there; what comes is read on (RFC 9112, section 9.6).
          request.socket.write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 8\r\n\r\ntoo much");
          request.resume();
          return;
        }
        const hash = createHash("sha256");
        request.on("data", (piece: Buffer) => hash.update(piece));
        request.on("end", () => response.end(`${hash.digest("hex")} ${JSON.stringify(request.trailers)}`));
      },
    }),
  );
  folder = await mkdtemp(join(tmpdir(), "sallyport-h2-"));
  cleanUp.defer(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "ca.pem"), world.ca);
  await writeFile(join(folder, "body"), large);
});

afterAll(() => cleanUp.disposeAsync());

const isMissing = (program: string) => spawnSync(program, ["--version"]).error !== undefined;
const sha = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const url = (path: string) => `https://${HOST}:${world.port}${path}`;
const authorization = () => ["-H", `authorization: Bearer ${world.token}`];
const curl = async (...more: readonly string[]) => {
  const trust = ["--cacert", join(folder, "ca.pem"), "--resolve", `${HOST}:${world.port}:127.0.0.1`];
  const { stdout } = await run("curl", [
    "-sS",
    "--http2",
    ...trust,
    ...authorization(),
    "-w",
    " %{http_version} %{http_code}",
    ...more,
  ]);
  return stdout;
};

it.skipIf(isMissing("curl"))("curl, up and down, and answered before it has said all", async () => {
  expect(await curl("-T", join(folder, "body"), url("/"))).toBe(`${sha(large)} {} 2 200`);
  const file = join(folder, "answer");
  expect(await curl("-o", file, url("/large"))).toBe(" 2 200");
  expect((await run("sha256sum", [file])).stdout.slice(0, 64)).toBe(sha(large));
  expect(await curl("-T", join(folder, "body"), url("/no"))).toBe("too much 2 413");
  expect(await curl("-I", "-o", file, url("/"))).toBe(" 2 200");
});

it.skipIf(isMissing("nghttp"))("nghttp, with padding, CONTINUATION, trailers and a body", async () => {
  const how = ["--no-verify-peer", "-H", `:authority: ${HOST}`, ...authorization(), "-b", "100", "--continuation"];
  const body = ["--trailer", "x-sum: y", "-d", join(folder, "body")];
  const { stdout } = await run("nghttp", [...how, ...body, `https://127.0.0.1:${world.port}/`]);
  // It says the body's length, and beside one HTTP/1.1 has no place for trailers.
  expect(stdout).toBe(`${sha(large)} {}`);
});

it.skipIf(isMissing("h2load"))("h2load, many streams at once", async () => {
  const options = ["-n", "4000", "-c", "8", "-m", "40", `--connect-to=127.0.0.1:${world.port}`, ...authorization()];
  const { stdout } = await run("h2load", [...options, url("/")]);
  expect(stdout).toContain("4000 succeeded, 0 failed, 0 errored, 0 timeout");
  expect(stdout).toContain("status codes: 4000 2xx");
});

it.skipIf(isMissing("h2load"))("h2load, whose windows are small", async () => {
  const windows = ["-w", "12", "-W", "14"];
  const options = [
    "-n",
    "16",
    "-c",
    "2",
    "-m",
    "4",
    ...windows,
    `--connect-to=127.0.0.1:${world.port}`,
    ...authorization(),
  ];
  const { stdout } = await run("h2load", [...options, url("/large")]);
  expect(stdout).toContain("16 succeeded, 0 failed, 0 errored, 0 timeout");
  expect(stdout).toContain(`(${16 * large.length}) data`);
});
