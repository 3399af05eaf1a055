// When sandboxes are held for the router's rules, and when they go on.

import { silentLogger } from "@sallyport/appkit/logger";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { RulesWatch } from "./rules-watch.ts";

let answers: (boolean | Error)[];
let failures: number;
let happened: string[];
let watch: RulesWatch | undefined;
let look: () => Promise<void>;

/** A watch that looks when the test says so. */
function open(changes: Partial<ConstructorParameters<typeof RulesWatch>[0]> = {}): void {
  let wake = (): void => {};
  let asleep = Promise.withResolvers<void>();
  watch = new RulesWatch({
    rules: {
      async intact() {
        const answer = answers.shift() ?? true;
        if (answer instanceof Error) throw answer;
        return answer;
      },
      async reload() {
        happened.push("reload");
        failures -= 1;
        if (failures >= 0) throw new Error("refused");
      },
    },
    clock: {
      sleep: (_ms, signal) =>
        new Promise((resolve, reject) => {
          wake = resolve;
          signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
          asleep.resolve();
          asleep = Promise.withResolvers();
        }),
    },
    logger: silentLogger,
    onRulesLost: async () => void happened.push("lost"),
    onRulesRestored: async () => void happened.push("restored"),
    ...changes,
  });
  look = async () => {
    const again = asleep.promise;
    wake();
    await again;
  };
}

beforeEach(() => {
  answers = [];
  failures = 0;
  happened = [];
});

afterEach(async () => {
  await watch?.[Symbol.asyncDispose]();
});

describe("the watch over rules", () => {
  it("does nothing while they are there", async () => {
    open();
    await look();
    await look();
    expect(happened).toEqual([]);
  });

  it("holds, loads and lets go", async () => {
    open();
    answers = [false];
    await look();
    expect(happened).toEqual(["lost", "reload", "restored"]);
    await look();
    expect(happened).toHaveLength(3);
  });

  it("holds once, and lets go only when they are loaded", async () => {
    open();
    answers = [false];
    failures = 2;
    await look();
    await look();
    expect(happened).toEqual(["lost", "reload", "reload"]);
    await look();
    expect(happened).toEqual(["lost", "reload", "reload", "reload", "restored"]);
  });

  it("asks twice before it believes that nobody answers", async () => {
    open();
    answers = [new Error("the helper died"), true];
    await look();
    expect(happened).toEqual([]);
    answers = [new Error("the helper died"), new Error("again")];
    await look();
    expect(happened).toEqual(["lost", "reload", "restored"]);
  });

  it("lets go, though not every sandbox could be stopped", async () => {
    open({
      onRulesLost: () => {
        happened.push("lost");
        return Promise.reject(new Error("one does not stop"));
      },
    });
    answers = [false];
    await look();
    expect(happened).toEqual(["lost", "reload", "restored"]);
  });

  it("tries again where they could not be let go", async () => {
    let tries = 0;
    open({
      onRulesRestored: async () => {
        tries += 1;
        if (tries === 1) throw new Error("not now");
        happened.push("restored");
      },
    });
    answers = [false];
    await look();
    expect(happened).toEqual(["lost", "reload"]);
    await look();
    expect(happened).toEqual(["lost", "reload", "reload", "restored"]);
  });
});
