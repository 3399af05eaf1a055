// The one spawn site: exit codes, deadlines, and that nothing waits for a grandchild that holds our pipe.
import { describe, expect, it } from "vitest";
import { run, runOk, startHolder } from "./command.ts";

const node = process.execPath;

describe("run", () => {
  it("returns exit code and output, and hands lines on as they come", async () => {
    const lines: string[] = [];
    const script = "console.log('one\\n\\x1b[31mtwo\\x1b[0m'); console.error('three'); process.exit(3)";
    const result = await run(node, ["-e", script], { onLine: (line) => lines.push(line) });
    expect(result).toMatchObject({ exitCode: 3, stderr: "three\n" });
    expect(lines.sort()).toEqual(["one", "three", "two"]);
  });

  it("gives a program its input", async () => {
    expect((await run("cat", [], { input: "hello" })).stdout).toBe("hello");
  });

  it("says what a failed program wrote, under a name that a person knows", async () => {
    const failing = runOk(node, ["-e", "console.error('no such thing'); process.exit(1)"], { name: "the compiler" });
    await expect(failing).rejects.toMatchObject({
      code: "CommandFailed",
      message: "the compiler ended with status 1:\nno such thing",
    });
  });

  it("refuses a program that is not there", async () => {
    await expect(run("/no/such/program", [])).rejects.toMatchObject({ code: "CommandFailed" });
  });

  it("ends a program at its deadline, though its child lives on with our pipe", async () => {
    const startedAt = performance.now();
    const stuck = run("sh", ["-c", "trap '' TERM; sleep 8 & wait; sleep 8"], { timeoutMs: 200, graceMs: 100 });
    await expect(stuck).rejects.toMatchObject({ code: "Timeout" });
    expect(performance.now() - startedAt).toBeLessThan(6_000);
  });

  it("ends a program when it is told to stop", async () => {
    const stop = new AbortController();
    const waiting = run("sleep", ["20"], { signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    await expect(run("true", [], { signal: stop.signal })).rejects.toThrow("enough");
  });
});

describe("startHolder", () => {
  it("is there once the program has spoken, and gone when it is let go", async () => {
    const holder = await startHolder("sh", ["-c", "echo held; exec cat >&2"], {});
    await holder[Symbol.asyncDispose]();
  });

  it("fails where the program ends without a word", async () => {
    await expect(startHolder("false", [], {})).rejects.toMatchObject({ code: "CommandFailed" });
  });
});
