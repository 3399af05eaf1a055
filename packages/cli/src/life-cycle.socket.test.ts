// Names, tags, sleep, events, logs and usage at the command line, against real protos on real sockets.
import { FakePlatform } from "@sallyport/testkit/fake-platform";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cli } from "../test/run-cli.ts";

let platform: FakePlatform;
beforeEach(async () => {
  platform = await FakePlatform.start();
});
afterEach(async () => {
  await platform[Symbol.asyncDispose]();
});

const run = (...argv: string[]) => cli(platform, argv);
const lines = (text: string) => text.trimEnd().split("\n");
const detached = async (...options: string[]) => (await run("run", "-d", ...options)).stdout.trim();

describe("a name", () => {
  it("stands wherever an id does", async () => {
    const id = await detached("--name", "db");
    const other = await detached("--app", "web", "--name", "db");
    expect((await run("exec", "db", "--", "echo", "hello")).stdout).toBe("hello\n");
    expect((await run("sleep", "web/db")).stdout).toBe(`${other}\n`);
    expect((await run("tags", "db", "a=1", "--json")).stdout).toContain('"a": "1"');
    expect((await run("rm", "db", "web/db")).stdout).toBe(`${id}\n${other}\n`);
    const gone = await run("events", "db");
    expect(gone.code).toBe(1);
    expect(gone.stderr).toContain("NotFound");
  });

  it("that looks like an id is one", async () => {
    const id = await detached();
    await run("rm", id);
    expect((await run("events", id)).code).toBe(0);
    expect(platform.calls).not.toContain("getSandboxByName");
  });
});

describe("run and ls", () => {
  it("hand on and show names, tags and sleep", async () => {
    const options = "--name web-1 --tag team=core --tag env= --disk 64 --idle-timeout 10m --sleep-after 30s".split(" ");
    const id = await detached(...options);
    expect(platform.sandboxes.get(id)?.request).toMatchObject({
      name: "web-1",
      tags: { team: "core", env: "" },
      diskMib: 64,
      idleTimeoutMs: 600_000,
      sleepAfterMs: 30_000,
    });
    await detached("--tag", "team=other");
    await run("sleep", id);
    const listed = lines((await run("ls", "--tag", "team=core")).stdout);
    expect(listed).toHaveLength(2);
    expect(listed[1]).toMatch(new RegExp(`^${id} +web-1 +default +running, asleep .*team=core,env`));
    expect(JSON.parse((await run("ls", "--name", "web-1", "--json")).stdout)).toMatchObject([
      { id, name: "web-1", tags: { team: "core", env: "" }, asleep: true },
    ]);
    expect(lines((await run("ls", "--tag", "team=core", "--tag", "env=x")).stdout)).toHaveLength(1);
  });

  it("escape what a tag says", async () => {
    await detached("--tag", "a=\u001b]0;x\u0007\u202e");
    expect((await run("ls")).stdout).toContain("a=\\x1b]0;x\\x07\\u202e");
  });
});

describe("sleep, wake, tags", () => {
  it("do so, and say so", async () => {
    const id = await detached("--tag", "a=1");
    expect(JSON.parse((await run("sleep", id, "--json")).stdout)).toEqual({ id, asleep: true });
    expect(JSON.parse((await run("wake", id, "--json")).stdout)).toEqual({ id, asleep: false });
    expect(lines((await run("tags", id)).stdout)).toEqual(["KEY  VALUE", "a    1"]);
    expect(lines((await run("tags", id, "b=2=3", "c=")).stdout)).toEqual(["KEY  VALUE", "b    2=3", "c"]);
    expect(JSON.parse((await run("tags", id, "--clear", "--json")).stdout)).toEqual({});
    await run("rm", id);
    expect(await run("sleep", id)).toMatchObject({ code: 1, stdout: "" });
  });
});

describe("events", () => {
  it("are told line by line, escaped, and followed to the end", async () => {
    const id = await detached();
    platform.sandboxes.get(id)?.tell("disk_full", { message: "\u001b[2J\u202e" });
    const told = lines((await run("events", id)).stdout);
    expect(told[0]).toMatch(/^ {3}1 {2}\d{4}-.*Z {2}created {9}\{"image":"default"\}$/);
    expect(told[1]).toContain('disk_full       {"message":"\\u001b[2J\\u202e"}');
    const json = lines((await run("events", id, "--after", "1", "--json")).stdout);
    expect(json.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { seq: 2, detail: { message: "\u001b[2J\u202e" } },
    ]);
    expect(json[0]).not.toContain("\u202e");
    const following = run("events", "-f", id);
    await expect.poll(() => platform.calls.filter((call) => call === "watchSandboxEvents")).toHaveLength(3);
    await run("rm", id);
    expect(lines((await following).stdout)).toHaveLength(3);
  });

  it("stop with the signal", async () => {
    const id = await detached();
    const stop = new AbortController();
    const following = cli(platform, ["events", "-f", id], { signal: stop.signal });
    await expect.poll(() => platform.calls.at(-1)).toBe("watchSandboxEvents");
    stop.abort("SIGINT");
    expect((await following).code).toBe(130);
  });
});

describe("ps and logs", () => {
  it("show processes and what they wrote", async () => {
    const id = await detached("--", "echo", "from the command");
    const quiet = await detached();
    await run("exec", quiet, "--", "fail", "3", "oops");
    const listed = lines((await run("ps", quiet)).stdout);
    expect(listed).toHaveLength(2);
    expect(listed[1]).toMatch(/exited \(3\) +\d+s +fail 3 oops$/);
    const [process] = JSON.parse((await run("ps", quiet, "--json")).stdout) as { id: string }[];
    const processId = process?.id ?? "";
    expect(await run("logs", id)).toEqual({ code: 0, stdout: "from the command\n", stderr: "" });
    expect(await run("logs", "--stderr", quiet, processId)).toEqual({ code: 0, stdout: "oops", stderr: "" });
    expect(JSON.parse((await run("logs", "--stderr", "--json", quiet, processId)).stdout)).toEqual({
      id: quiet,
      process: processId,
      stream: "stderr",
      gaps: [],
      text: "oops",
    });
    expect((await run("logs", quiet)).code).toBe(1);
  });

  it("follow only when asked", async () => {
    const id = await detached("--", "sleep", "9");
    expect(await run("logs", id)).toEqual({ code: 0, stdout: "", stderr: "" });
    const following = run("logs", "-f", id);
    await expect.poll(() => platform.calls.filter((call) => call === "readOutput")).toHaveLength(2);
    await run("rm", id);
    expect((await following).code).toBe(0);
  });
});

describe("usage", () => {
  it("tells what is used of what", async () => {
    await detached("--cpu", "0.5");
    const { stdout } = await run("usage");
    expect(stdout).toMatch(/^ +USED +QUOTA\nsandboxes +1 +1000\ncpu +0.5 +1000\n/);
    expect(JSON.parse((await run("usage", "--json")).stdout)).toMatchObject({
      used: { cpu: 0.5 },
      quota: { cpu: 1_000 },
    });
  });
});
