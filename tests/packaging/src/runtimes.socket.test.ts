// One program under every runtime, from the packed SDK, against real protos on real sockets.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { makeAuthority } from "@sallyport/testkit/certificates";
import { EchoServer } from "@sallyport/testkit/echo-server";
import { FakePlatform } from "@sallyport/testkit/fake-platform";
import { describe, expect, inject, it } from "vitest";
import type { Runtime } from "./runtimes.ts";
import { RUNTIMES } from "./runtimes.ts";

const { project } = inject("installed");

describe.each(RUNTIMES)("$name", (runtime) => {
  const { name, binary } = runtime;
  if (binary === undefined) {
    it(`is not on npm for ${process.platform}-${process.arch}: nothing was run under ${name}`, () => {
      expect(["x64", "arm64"]).not.toContain(process.arch);
    });
    return;
  }

  it("is what it says", async () => {
    expect((await run(runtime, binary, ["--version"], {})).output).toMatch(new RegExp(`^${runtime.version}`));
  });

  it("creates, drives and ends a sandbox, and then ends by itself", async () => {
    await using platform = await FakePlatform.start();
    const { code, output } = await run(runtime, binary, [program("tour.js")], platformOf(platform));
    expect(output).toMatch(/^\{.*\}\n$/);
    const [sandbox] = platform.sandboxes.keys();
    expect(JSON.parse(output)).toEqual({
      app: "matrix",
      id: sandbox,
      ran: { exitCode: 0, reason: "exited", stdout: "hello\n", stderr: "" },
      echoed: "one two",
      status: { exitCode: 0, reason: "exited" },
      lines: ["0", "1", "2", "3", "4"],
      killed: { exitCode: 143, reason: "signalled", signal: "SIGTERM" },
      flood: { bytes: 3_000_000, wrong: 0 },
      failed: "ProcessFailed",
      notFound: "NotFound",
      invalid: "InvalidArgument",
      late: "DeadlineExceeded",
      aborted: "Cancelled",
      already: "Cancelled",
      stranger: "Unauthenticated",
      closed: "Cancelled",
      secured: "DeadlineExceeded",
      listed: [sandbox],
      ended: { exitCode: 137, reason: "terminated" },
    });
    expect(code).toBe(0);
  });

  it("reaches a sandbox by a connect token, and then ends by itself", async () => {
    const authority = await makeAuthority();
    const names = ["sb-00000000000000000000000001.localhost", "elsewhere.localhost"];
    await using server = await EchoServer.start(await authority.issue(names));
    await using platform = await FakePlatform.start();
    platform.connect.domain = `localhost:${server.port}`;
    platform.connect.caPem = authority.pem;
    const elsewhere = `https://elsewhere.localhost:${server.port}/`;
    const env = { ...platformOf(platform), ELSEWHERE: elsewhere };
    const { code, output } = await run(runtime, binary, [program("connect.js")], env);
    expect(output).toMatch(/^\{.*\}\n$/);
    expect(JSON.parse(output)).toEqual({
      shown: false,
      fetched: [true, 200, "POST", "/hello?a=1", "text"],
      authorized: true,
      redirected: true,
      misled: "FailedPrecondition",
      manual: 307,
      form: true,
      refused: "path",
      global: "not reached",
      webSocket: ["/ws", true, "echo"],
      protocol: "one",
      socketShown: false,
      revoked: { staleEdges: [] },
    });
    expect(code).toBe(0);
  });

  it("lets CommonJS require it", async () => {
    const { code, output } = await run(runtime, binary, [program("required.cjs")], {});
    expect({ code, output }).toEqual({ code: 0, output: "InvalidArgument url\n" });
  });

  it("loses and repeats nothing while the gateway is killed again and again", async () => {
    await using platform = await FakePlatform.start();
    const running = run(runtime, binary, [program("outage.js")], platformOf(platform));
    const reads = () => platform.calls.filter((call) => call === "readOutput").length;
    for (let round = 1; round <= 3; round += 1) {
      await expect.poll(reads, { timeout: 30_000 }).toBeGreaterThanOrEqual(round);
      platform.killGateway();
      await platform.startGateway();
    }
    const { code, output } = await running;
    expect(output).toMatch(/^\{.*\}\n$/);
    const status = { exitCode: 0, reason: "exited" };
    expect(JSON.parse(output)).toEqual({ lines: 1_500, inOrder: true, status });
    expect(reads()).toBeGreaterThan(3);
    expect(code).toBe(0);
  });
});

function platformOf(platform: FakePlatform): Record<string, string> {
  return { SALLYPORT_API_URL: platform.apiUrl, SALLYPORT_TOKEN: platform.token };
}

/** Programs lie beside `node_modules`, as a user's do. */
function program(name: string): string {
  const target = join(project, name);
  copyFileSync(fileURLToPath(new URL(`./programs/${name}`, import.meta.url)), target);
  return target;
}

async function run(
  runtime: Runtime,
  binary: string,
  args: readonly string[],
  extra: Record<string, string>,
): Promise<{ code: number | string; output: string }> {
  const before = args[0] === "--version" ? [] : runtime.args;
  // Nothing of this process's environment leads the program to our sources, and nothing is kept outside the project.
  const env = { HOME: project, PATH: "/usr/bin:/bin", DENO_DIR: join(project, "deno"), NO_COLOR: "1", ...extra };
  const child = spawn(binary, [...before, ...args], {
    cwd: project,
    env,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000,
  });
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { code: child.exitCode ?? child.signalCode ?? "?", output: output + errors };
}
