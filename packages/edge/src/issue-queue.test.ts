import { describe, expect, it } from "vitest";
import { MAX_ISSUES_IN_FLIGHT, MAX_ISSUES_WAITING } from "./edge-limits.ts";
import { IssueQueue } from "./issue-queue.ts";

/** A queue whose calls end when the test says so. */
function heldQueue() {
  const started: string[] = [];
  const calls = new Map<string, PromiseWithResolvers<string>>();
  const queue = new IssueQueue<string>((host) => {
    started.push(host);
    const call = Promise.withResolvers<string>();
    calls.set(host, call);
    return call.promise;
  });
  const end = async (host: string) => {
    calls.get(host)?.resolve(`certificate of ${host}`);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { queue, started, calls, end };
}

describe("IssueQueue", () => {
  it("asks some at a time, those that somebody waits for first", async () => {
    const { end, queue, started } = heldQueue();
    for (let number = 0; number < MAX_ISSUES_IN_FLIGHT; number += 1) void queue.ask(`busy-${number}`, false);
    void queue.ask("patient", false);
    void queue.ask("hurried", false);
    void queue.ask("urgent", true);
    void queue.ask("hurried", true);
    expect(started).toHaveLength(MAX_ISSUES_IN_FLIGHT);
    for (let number = 0; number < 3; number += 1) await end(`busy-${number}`);
    expect(started.slice(MAX_ISSUES_IN_FLIGHT)).toEqual(["urgent", "hurried", "patient"]);
  });

  it("asks once for a host, and again after an answer", async () => {
    const { end, queue, started } = heldQueue();
    const [one, two] = [queue.ask("a", false), queue.ask("a", true)];
    await end("a");
    expect([await one, await two]).toEqual(["certificate of a", "certificate of a"]);
    void queue.ask("a", true);
    expect(started).toEqual(["a", "a"]);
  });

  it("goes on after a failure, which only those who asked hear of", async () => {
    const { calls, queue, started } = heldQueue();
    const failed = queue.ask("a", true);
    calls.get("a")?.reject(new Error("no"));
    await expect(failed).rejects.toThrow("no");
    await new Promise((resolve) => setImmediate(resolve));
    void queue.ask("a", true);
    expect(started).toEqual(["a", "a"]);
  });

  it("bounds those that wait", () => {
    const { queue } = heldQueue();
    const most = MAX_ISSUES_IN_FLIGHT + MAX_ISSUES_WAITING;
    for (let number = 0; number < most; number += 1) expect(queue.ask(`${number}`, false)).toBeDefined();
    expect(queue.ask("one more", true)).toBeUndefined();
    expect(queue.ask("1", true)).toBeDefined(); // it waits already
  });
});
