// How programs end, and what is said of it.

import { describe, expect, it } from "vitest";
import { CommandError, run, start } from "./command.ts";

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe("run", () => {
  it("gives both outputs and passes input", async () => {
    expect(await run(["sh", "-c", "cat; echo oops >&2"], { input: "in" })).toEqual({ stdout: "in", stderr: "oops\n" });
    expect((await run(["cat"])).stdout).toBe("");
  });

  it("shows the child none of our environment", async () => {
    process.env["SALLYPORT_TEST_SECRET"] = "hidden";
    const { stdout } = await run(["env"], { env: { GIVEN: "yes" } });
    delete process.env["SALLYPORT_TEST_SECRET"];
    expect(stdout).toContain("GIVEN=yes");
    expect(stdout).not.toContain("hidden");
  });

  it("names program, exit code and last lines, but no argument", async () => {
    const error = await failure(run(["sh", "-c", "echo one >&2; echo two >&2; exit 7", "secret-argument"]));
    expect(error).toBeInstanceOf(CommandError);
    expect(error).toMatchObject({ code: "CommandFailed", program: "sh", exitCode: 7, stderr: "one | two" });
    expect(String(error)).not.toContain("secret-argument");
  });

  it("fails where there is no such program", async () => {
    expect(await failure(run(["/nonexistent/program"]))).toMatchObject({ code: "CommandFailed", exitCode: null });
  });

  it("ends what takes too long or says too much", async () => {
    await expect(run(["sleep", "60"], { timeoutMs: 50 })).rejects.toThrow(/too long/);
    await expect(run(["cat", "/dev/zero"])).rejects.toThrow(/too much/);
  });

  it("ends on abort, with the signal's reason", async () => {
    const controller = new AbortController();
    const running = failure(run(["sleep", "60"], { signal: controller.signal }));
    const reason = new Error("enough");
    controller.abort(reason);
    expect(await running).toBe(reason);
    expect(await failure(run(["true"], { signal: controller.signal }))).toBe(reason);
  });

  it("does not mind a program that ignores its input", async () => {
    await run(["true"], { input: "x".repeat(1_000_000) });
  });
});

describe("start", () => {
  it("leaves the child to its caller", async () => {
    const child = start(["sleep", "60"]);
    const ended = new Promise((resolve) => {
      child.once("exit", (_, signal) => resolve(signal));
    });
    child.kill("SIGTERM");
    expect(await ended).toBe("SIGTERM");
  });
});
