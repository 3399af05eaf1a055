// The engine and the worker killed amid a build: it is begun anew, no sandbox notices, and nothing is left after `down`.
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, Image, SallyportError, Sandbox } from "@sallyport/sdk";
import { leftovers } from "@sallyport/testkit/leftovers";
import { startPlatform } from "@sallyport/testkit/platform";
import { expect, inject, it } from "vitest";

const registry = inject("registry");

/** The engine of a platform: the process whose arguments name its home. */
async function engineOf(home: string): Promise<number | undefined> {
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    try {
      const [program = "", ...words] = (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0");
      if (program.endsWith("/dockerd") && words.some((word) => word.includes(home))) return Number(pid);
    } catch {
      // ended meanwhile
    }
  }
  return undefined;
}

it("a build outlives its engine and its worker, and a sandbox does not notice", { timeout: 240_000 }, async () => {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "context-"));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const env = { SALLYPORT_INSECURE_REGISTRIES: registry.name };
  const platform = await startPlatform({ env });
  const { platformId, children } = await platform.status();
  try {
    const { token } = await platform.createWorkspace("faults");
    await using client = new Client({ url: platform.apiUrl, token });
    const witness = await Sandbox.create(["sh", "-c", "sleep 600"], { client });
    const text = `FROM ${registry.name}/base:1\nRUN echo it begins && cat /proc/version && sleep 600`;
    await writeFile(join(directory, "Dockerfile"), text);
    const lines: string[] = [];
    const begun = () => lines.filter((line) => line === "it begins").length;
    const abort = new AbortController();
    const build = Image.fromDockerfile(join(directory, "Dockerfile"))
      .build({ client, signal: abort.signal, onLog: (line) => lines.push(line) })
      .then(
        () => undefined,
        (error: unknown) => error,
      );
    await expect.poll(begun, { timeout: 60_000 }).toBe(1);
    const engine = await engineOf(platform.home);
    if (engine === undefined) throw new Error("there is no engine");
    process.kill(engine, "SIGKILL");
    await expect.poll(begun, { timeout: 60_000 }).toBe(2);
    expect(lines).toContain("the engine has ended; once more from the beginning");
    const worker = children.find(({ name }) => name === "worker");
    if (worker === undefined) throw new Error("there is no worker");
    process.kill(worker.pid, "SIGKILL");
    await expect.poll(begun, { timeout: 90_000 }).toBe(3);
    expect(lines.filter((line) => line.startsWith("Linux version")).every((line) => line.includes(" 4.4.0 "))).toBe(
      true,
    );
    expect((await witness.run(["echo", "still here"])).stdout).toBe("still here\n");
    abort.abort();
    expect(SallyportError.is(await build, "Cancelled")).toBe(true);
  } finally {
    await platform[Symbol.asyncDispose]();
  }
  expect(leftovers({ home: platform.home, platformId })).toEqual([]);
});
