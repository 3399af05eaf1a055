// The real program with captured streams, against the real protos on real sockets.
import { PassThrough } from "node:stream";
import { FakePlatform } from "@sallyport/testkit/fake-platform";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cli, Keyboard } from "../test/run-cli.ts";

let platform: FakePlatform;
beforeEach(async () => {
  platform = await FakePlatform.start();
});
afterEach(async () => {
  await platform[Symbol.asyncDispose]();
});

function sandboxes() {
  return [...platform.sandboxes.values()];
}

describe("run", () => {
  it("streams, exits as the command, and leaves nothing", async () => {
    expect(await cli(platform, ["run", "--", "echo", "hello"])).toEqual({ code: 0, stdout: "hello\n", stderr: "" });
    expect(await cli(platform, ["run", "fail", "7", "oops"])).toEqual({ code: 7, stdout: "", stderr: "oops" });
    expect(sandboxes().filter((sandbox) => sandbox.view.outcome === undefined)).toEqual([]);
  });

  it("hands on every option", async () => {
    const options = "--app web --cpu 0.5 --memory 256 --lifetime 10m -e A=1 --env B=2=3 --workdir /srv".split(" ");
    const allow = ["--allow", "198.51.100.0/24", "--allow", "2001:db8::/32"];
    const { code, stdout } = await cli(platform, [
      "run",
      ...options,
      ...allow,
      "--detach",
      "--",
      "sleep",
      "--app",
      "x",
    ]);
    expect(code).toBe(0);
    const [sandbox] = sandboxes();
    expect(stdout).toBe(`${sandbox?.view.id}\n`);
    expect(sandbox?.view.outcome).toBeUndefined();
    expect(sandbox?.request).toMatchObject({
      appName: "web",
      cpuMillis: 500,
      memoryMib: 256,
      lifetimeMs: 600_000,
      env: { A: "1", B: "2=3" },
      workdir: "/srv",
      command: { argv: ["sleep", "--app", "x"] },
      network: { mode: { $case: "allow", value: { cidrs: ["198.51.100.0/24", "2001:db8::/32"] } } },
    });
    await cli(platform, ["run", "--block-network", "--detach"]);
    expect(sandboxes()[1]?.request).toMatchObject({ command: undefined, network: { mode: { $case: "blocked" } } });
  });

  it("forwards piped input, and shows output as it comes", async () => {
    const stdin = new PassThrough();
    stdin.write("one\n");
    const result = cli(platform, ["run", "cat"], {
      stdin,
      onStdout: (text) => {
        if (text === "one\n") stdin.end("two\n");
      },
    });
    expect(await result).toEqual({ code: 0, stdout: "one\ntwo\n", stderr: "" });
  });

  it("does not wait for input that the command does not read", async () => {
    const open = new PassThrough();
    expect((await cli(platform, ["run", "echo", "x"], { stdin: open })).code).toBe(0);
    expect(open.destroyed).toBe(true);
  });

  it("collects with --json", async () => {
    const { code, stdout } = await cli(platform, ["run", "--json", "--", "fail", "3", "\u001b[2J"]);
    expect(code).toBe(3);
    expect(stdout).not.toContain("\u001b");
    expect(JSON.parse(stdout)).toEqual({
      id: sandboxes()[0]?.view.id,
      exitCode: 3,
      reason: "exited",
      stdout: "",
      stderr: "\u001b[2J",
    });
  });

  it("gives a terminal its keys and its size, and puts ours back", async () => {
    const keyboard = new Keyboard();
    const terminal = { columns: 100, rows: 40 };
    const running = cli(platform, ["run", "-t", "cat"], { stdin: keyboard, terminal });
    await expect.poll(() => sandboxes()[0]?.request.pty).toEqual(terminal);
    expect(keyboard.rawModes).toEqual([true]);
    keyboard.end("typed");
    expect(await running).toEqual({ code: 0, stdout: "typed", stderr: "" });
    expect(keyboard.rawModes).toEqual([true, false]);
  });

  it("stopped by a signal, terminates and says so by its exit code", async () => {
    const stop = new AbortController();
    const running = cli(platform, ["run", "sleep"], { signal: stop.signal });
    await expect.poll(() => platform.calls).toContain("waitSandbox");
    stop.abort("SIGINT");
    expect((await running).code).toBe(130);
    expect(sandboxes()[0]?.view.outcome?.exitCode).toBe(137);
  });

  it("tells field and code of what is refused", async () => {
    platform.fail("createSandbox", { code: "InvalidArgument", field: "network.allow[0]" });
    const { code, stderr } = await cli(platform, ["run", "--allow", "x", "--", "echo"]);
    expect(code).toBe(1);
    expect(stderr).toContain("network.allow[0]");
    platform.fail("createSandbox", { code: "InvalidArgument", field: "memory_mib" });
    const json = await cli(platform, ["run", "--json", "--memory", "1", "--", "echo"]);
    expect(JSON.parse(json.stderr)).toMatchObject({ error: { code: "InvalidArgument", field: "memoryMiB" } });
  });
});

describe("exec, ls, rm", () => {
  it("work on a running sandbox", async () => {
    const id = (await cli(platform, ["run", "-d", "-e", "A=1", "--app", "web"])).stdout.trim();
    expect(await cli(platform, ["exec", id, "--", "printenv", "A"])).toMatchObject({ code: 0, stdout: "1\n" });
    expect(await cli(platform, ["exec", "-e", "A=2", id, "printenv", "A"])).toMatchObject({ stdout: "2\n" });
    expect(await cli(platform, ["exec", id, "cat"], { stdin: "in" })).toMatchObject({ code: 0, stdout: "in" });
    expect((await cli(platform, ["exec", id, "--", "fail", "9"])).code).toBe(9);
    const stop = new AbortController();
    const running = cli(platform, ["exec", id, "sleep"], { signal: stop.signal });
    await expect.poll(() => [...(sandboxes()[0]?.processes.values() ?? [])].at(-1)?.argv).toEqual(["sleep"]);
    stop.abort("SIGTERM");
    expect((await running).code).toBe(143);
    await expect.poll(() => [...(sandboxes()[0]?.processes.values() ?? [])].at(-1)?.signals).toEqual(["SIGKILL"]);

    expect((await cli(platform, ["ls", "--app", "web"])).stdout).toMatch(new RegExp(`^ID .*\n${id} +web +running`));
    expect(await cli(platform, ["rm", id, "sb-none"])).toMatchObject({ code: 1, stdout: `${id}\n` });
    expect(JSON.parse((await cli(platform, ["ls", "--json"])).stdout)).toEqual([]);
    const [ended] = JSON.parse((await cli(platform, ["ls", "--all", "--json"])).stdout) as object[];
    expect(ended).toMatchObject({ id, state: "ended", exitStatus: { reason: "terminated", exitCode: 137 } });
    expect((await cli(platform, ["exec", id, "echo"])).stderr).toContain("has ended");
  });

  it("escape what a sandbox names", async () => {
    await cli(platform, ["run", "-d", "--", "sleep", "\u001b]0;x\u0007\u202e"]);
    const { stdout } = await cli(platform, ["ls"]);
    expect(stdout).toContain("sleep \\x1b]0;x\\x07\\u202e");
  });
});

describe("usage", () => {
  it.each([
    [["nonesuch"]],
    [["run"]],
    [["run", "--cpu", "x", "--", "echo"]],
    [["run", "--lifetime", "10y", "--", "echo"]],
    [["run", "--block-network", "--allow", "198.51.100.0/24", "--", "echo"]],
    [["run", "--detach", "-t", "--", "echo"]],
    [["exec", "sb-1"]],
    [["exec", "sb-1", "--"]],
    [["rm"]],
    [["sleep"]],
    [["events", "sb-1", "--after", "x"]],
    [["tags", "sb-1", "novalue"]],
    [["tags", "sb-1", "a=1", "--clear"]],
    [["ls", "--tag", "novalue"]],
    [["api-token", "create"]],
    [["ls", "--nope"]],
  ])("%j exits 2 and touches nothing", async (argv) => {
    const { code, stdout, stderr } = await cli(platform, argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).not.toBe("");
    expect(platform.calls).toEqual([]);
  });

  it("helps", async () => {
    const { code, stdout } = await cli(undefined, ["--help"]);
    expect(code).toBe(0);
    const verbs = "up down doctor run exec ls ps logs events tags sleep wake rm usage api-token workspace workers";
    for (const verb of verbs.split(" ")) {
      expect(stdout).toMatch(new RegExp(`^  ${verb}\\b`, "m"));
    }
    const run = await cli(undefined, ["run", "--help"]);
    expect(run.stdout).toContain("sallyport run [options] -- CMD...");
  });

  it("tells a missing token", async () => {
    const config = { XDG_CONFIG_HOME: "/nonexistent" };
    const { code, stderr } = await cli(undefined, ["ls"], { env: config });
    expect(code).toBe(1);
    expect(stderr).toContain("api-token create");
  });
});
