// kill -9 of each part of the platform while ten sandboxes run and three of them stream: afterwards all ten are known and
// usable, no output is lost or doubled, exit codes are right, and nothing is left behind in the end.
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { Client, Sandbox } from "@sallyport/sdk";
import type { Owner } from "@sallyport/testkit/leftovers";
import { leftovers } from "@sallyport/testkit/leftovers";
import type { TestPlatform } from "@sallyport/testkit/platform";
import { startPlatform } from "@sallyport/testkit/platform";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const SANDBOXES = 10;
const STREAMS = 3;
const LINES = 600;
const NUMBERS = Array.from({ length: LINES }, (_, index) => String(index));
/** Both outputs, so that each is held to account, and an exit code that tells one sandbox from another. */
const counter = (exitCode: number) =>
  `import sys, time
for i in range(${LINES}):
    print(i, flush=True); print(i, file=sys.stderr, flush=True); time.sleep(0.01)
raise SystemExit(${exitCode})`;

let platform: TestPlatform;
let client: Client;
let owner: Owner;
let sandboxes: Sandbox[] = [];

beforeAll(async () => {
  platform = await startPlatform();
  owner = { home: platform.home, platformId: (await platform.status()).platformId };
  const { token } = await platform.createWorkspace("ten");
  client = new Client({ url: platform.apiUrl, token });
  sandboxes = await Promise.all(
    Array.from({ length: SANDBOXES }, () => Sandbox.create({ client, network: "blocked" })),
  );
});

afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await platform[Symbol.asyncDispose]();
  expect(leftovers(owner)).toEqual([]);
});

describe("kill -9 while ten sandboxes run and three stream", () => {
  for (const child of ["api", "worker", "gateway", "postgres"]) {
    it(`of ${child}`, () => streamThrough(() => killChild(child)));
  }
  it("of worker, gateway and api at once", () =>
    streamThrough(async () => {
      await Promise.all([killChild("worker"), killChild("gateway"), killChild("api")]);
    }));
  it("of every conmon", () =>
    streamThrough(async () => {
      const victims = processesOf("conmon", platform.home);
      expect(victims.length).toBeGreaterThanOrEqual(SANDBOXES);
      for (const pid of victims) process.kill(pid, "SIGKILL");
    }));
});

/** Streams of three, the blow in their middle, and then everything that must still be true. */
async function streamThrough(blow: () => Promise<void>): Promise<void> {
  let reached = 0;
  const midway = Promise.withResolvers<void>();
  const streams = sandboxes.slice(0, STREAMS).map(async (sandbox, index) => {
    const process = await sandbox.exec(["python3", "-c", counter(index + 3)]);
    const stderr = process.stderr.text();
    const seen: string[] = [];
    for await (const line of process.stdout.lines()) {
      seen.push(line);
      if (seen.length === 100 && ++reached === STREAMS) midway.resolve();
    }
    expect(seen).toEqual(NUMBERS);
    expect((await stderr).trim().split("\n")).toEqual(NUMBERS);
    expect(await process.wait()).toEqual({ exitCode: index + 3, reason: "exited" });
  });
  const streamed = Promise.all(streams);
  streamed.catch(ignoreBecauseAwaited);
  await Promise.race([midway.promise, streamed]);
  await blow();
  try {
    await streamed;
  } catch (error) {
    throw new Error(`a stream broke\n${await platform.logs()}`, { cause: error });
  }

  const known: string[] = [];
  for await (const sandbox of Sandbox.list({ client })) known.push(sandbox.id);
  expect(known.sort()).toEqual(sandboxes.map(({ id }) => id).sort());
  const answers = sandboxes.map(async (sandbox) => (await sandbox.run(["hostname"])).exitCode);
  expect(await Promise.all(answers)).toEqual(sandboxes.map(() => 0));
}

function ignoreBecauseAwaited(): void {
  // A stream that breaks while parts are still being killed is told below.
}

/** Kills a child of the supervisor, and waits until another has taken its place. */
async function killChild(name: string): Promise<void> {
  const before = (await platform.status()).children.find((child) => child.name === name);
  if (before === undefined) throw new Error(`no child ${name}`);
  process.kill(before.pid, "SIGKILL");
  const isBack = async () => {
    const now = (await platform.status()).children.find((child) => child.name === name);
    return now?.state === "ready" && now.pid !== before.pid;
  };
  await expect.poll(isBack, { timeout: 30_000, interval: 100 }).toBe(true);
}

/** Processes of the program whose arguments name the platform's home. */
function processesOf(program: string, home: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const [argv0 = "", ...rest] = readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
        return basename(argv0) === program && rest.some((word) => word.includes(home));
      } catch {
        return false; // ended meanwhile
      }
    });
}
