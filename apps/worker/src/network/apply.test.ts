// The conversation with the helper, held with stand-ins that answer, refuse, babble, hang and die.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { member, NftSession, SessionLostError } from "./apply.ts";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sallyport-apply-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** A helper whose answers a function of the request's text decides: status and text. */
async function helper(answer: string): Promise<string> {
  const path = join(directory, "helper");
  const script = `#!${process.execPath}
const answer = ${answer};
let got = Buffer.alloc(0);
process.stdin.on("data", (chunk) => {
  got = Buffer.concat([got, chunk]);
  while (got.length >= 4 && got.length >= 4 + got.readUInt32BE(0)) {
    const text = got.subarray(4, 4 + got.readUInt32BE(0)).toString();
    got = got.subarray(4 + got.readUInt32BE(0));
    const reply = answer(text);
    if (reply === undefined) continue;
    const body = Buffer.concat([Buffer.from([reply[0]]), Buffer.from(reply[1])]);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(body.length);
    process.stdout.write(Buffer.concat([head, body]));
  }
});
`;
  await writeFile(path, script, { mode: 0o755 });
  return path;
}

describe("NftSession", () => {
  it("gives each request its own answer, in order", async () => {
    await using session = new NftSession({
      helper: await helper(
        `(text) => text[0] === "j" ? [0, '{"nftables":[{"asked":' + text.slice(1) + "}]}"] : [0, ""]`,
      ),
    });
    const answers = await Promise.all([1, 2, 3].map((handle) => session.query([{ handle }])));
    expect(answers.map((answer) => JSON.stringify(answer))).toEqual(
      [1, 2, 3].map((handle) => `[{"asked":{"nftables":[{"handle":${handle}}]}}]`),
    );
    await session.apply("add table inet x\n");
    expect(member(answers[0]?.[0] ?? {}, "asked")).toBeDefined();
  });

  it("tells a refusal from silence", async () => {
    await using session = new NftSession({
      helper: await helper(`(text) => text.includes("bad") ? [1, "Error: syntax"] : [0, ""]`),
    });
    await expect(session.apply("bad")).rejects.toThrow(/refused: Error: syntax/);
    await session.apply("good");
    await using mute = new NftSession({ helper: await helper("() => undefined"), answerTimeoutMs: 300 });
    await expect(mute.apply("anything")).rejects.toThrow(SessionLostError);
    expect(mute.pid).toBeUndefined();
  });

  it("starts again after the helper died", async () => {
    await using session = new NftSession({
      helper: await helper(`(text) => text.includes("die") ? process.exit(0) : [0, ""]`),
    });
    await session.apply("one");
    const pid = session.pid;
    await expect(session.apply("die")).rejects.toThrow(SessionLostError);
    await session.apply("two");
    expect(session.pid).not.toBe(pid);
  });

  it("gives up on a helper that breaks the protocol, or is none", async () => {
    await using babbler = new NftSession({
      helper: await helper(`() => { process.stdout.write("\\xff\\xff\\xff\\xffmore"); }`),
    });
    await expect(babbler.apply("x")).rejects.toThrow(/protocol/);
    await using missing = new NftSession({ helper: join(directory, "missing") });
    await expect(missing.apply("x")).rejects.toMatchObject({ code: "RulesNotApplied" });
  });

  it("is closed for good once disposed, and fails what waits", async () => {
    const session = new NftSession({ helper: await helper("() => undefined") });
    const waiting = session.apply("x");
    const failed = expect(waiting).rejects.toThrow(SessionLostError);
    await session[Symbol.asyncDispose]();
    await session[Symbol.asyncDispose]();
    await failed;
    await expect(session.apply("x")).rejects.toMatchObject({ code: "Closed" });
  });
});
