import { AppError } from "@sallyport/appkit/errors";
import { describe, expect, it } from "vitest";
import { type EndCause, type EndEvidence, judgeEnd } from "./outcome.ts";
import type { InstanceOutcome } from "./record.ts";

const NOTHING: EndEvidence = { pidsRefusals: 0, recentOomKills: 0, isDiskFull: false };
const OUT_OF_MEMORY: EndEvidence = { ...NOTHING, recentOomKills: 1 };
const OUT_OF_TASKS: EndEvidence = { ...NOTHING, pidsRefusals: 3 };

const refused = (field: string, message: string) => new AppError("InvalidArgument", message, { field });
const ended = (outcome: InstanceOutcome): EndCause => ({ kind: "entrypointEnded", outcome });
const failed = (error: unknown): EndCause => ({ kind: "startFailed", error });
const NO_PROGRAM = "command: cannot start nope: no such file or directory";
const NO_PERMISSION = "command: cannot start no such file: permission denied";

const TABLE: [string, EndCause, EndEvidence, InstanceOutcome["reason"], number][] = [
  ["a stop that was wished", { kind: "stopWish" }, NOTHING, "terminated", 137],
  ["a platform that goes down", { kind: "down" }, OUT_OF_MEMORY, "terminated", 137],
  ["a lifetime that is over", { kind: "lifetimeOver" }, NOTHING, "timeout", 124],
  ["a command that exited", ended({ reason: "exited", exitCode: 3 }), NOTHING, "exited", 3],
  ["one that exited well after a kill", ended({ reason: "exited", exitCode: 0 }), OUT_OF_MEMORY, "exited", 0],
  ["one that the kernel killed", ended({ reason: "exited", exitCode: 1 }), OUT_OF_MEMORY, "oom", 137],
  ["a signal", ended({ reason: "signalled", exitCode: 143, signal: "SIGTERM" }), NOTHING, "signalled", 143],
  ["a sandbox gone for memory", { kind: "gone", exitCode: 137 }, OUT_OF_MEMORY, "oom", 137],
  ["a sandbox gone for tasks", { kind: "gone", exitCode: 2 }, OUT_OF_TASKS, "pids", 137],
  ["a sandbox gone for no known cause", { kind: "gone", exitCode: undefined }, NOTHING, "initFailure", 137],
  ["an init that broke the rules", { kind: "initFailed", message: "bad frame" }, NOTHING, "initFailure", 137],
  ["an init that was cut off by memory", { kind: "initFailed", message: "cut" }, OUT_OF_MEMORY, "oom", 137],
  ["a restart of the machine", { kind: "rebooted" }, NOTHING, "lost", 137],
  ["a program that does not exist", failed(refused("command", NO_PROGRAM)), NOTHING, "exited", 127],
  ["a program that may not run", failed(refused("command", NO_PERMISSION)), NOTHING, "exited", 126],
  ["a refusal of another field", failed(refused("instance_id", "no")), NOTHING, "initFailure", 137],
  [
    "rules that were refused",
    failed(new Error("the network policy could not be applied")),
    NOTHING,
    "initFailure",
    137,
  ],
];

describe("the outcome", () => {
  it.each(TABLE)("of %s", (_what, cause, evidence, reason, exitCode) => {
    expect(judgeEnd(cause, evidence)).toMatchObject({ reason, exitCode });
  });

  it("says whether memory ended the command or all of it, and that a disk was full", () => {
    const words = (cause: EndCause, evidence: EndEvidence) => judgeEnd(cause, evidence).message;
    const exited = ended({ reason: "exited", exitCode: 1 });
    expect(words(exited, OUT_OF_MEMORY)).toContain("its command was killed");
    expect(words({ kind: "gone", exitCode: 137 }, OUT_OF_MEMORY)).toContain("as a whole");
    expect(judgeEnd(exited, { ...NOTHING, isDiskFull: true })).toEqual({
      reason: "exited",
      exitCode: 1,
      message: "the sandbox's disk was full when its command ended",
    });
  });

  it("names the field and the reason of a command that could not be started", () => {
    expect(judgeEnd(failed(refused("command", NO_PROGRAM)), NOTHING)).toMatchObject({
      startErrorField: "command",
      message: NO_PROGRAM,
    });
  });
});
