// The edge's own keys: what an app can verify, when, and what becomes of them over restarts and outages.
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "@sallyport/appkit/clock";
import type { ConnectGrant } from "@sallyport/connect-token/verify";
import { ConnectTokenVerifier, parseKeySet, verifyAssertion } from "@sallyport/connect-token/verify";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ISSUER, SANDBOX, START_MS, WORKSPACE } from "../test/rules/place.ts";
import { AssertionKeys, PUBLISH_EVERY_MS, RENEW_AFTER_MS } from "./assertion-keys.ts";

/** A clock that a test moves; whoever sleeps is woken when it is passed. */
class Hand implements Clock {
  ms = START_MS;
  #sleepers: { readonly untilMs: number; readonly wake: () => void }[] = [];
  readonly #asleep: (() => void)[] = [];

  now = (): number => this.ms;
  monotonicMs = (): number => this.ms;
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const sleeper = { untilMs: this.ms + ms, wake: resolve };
      const abort = () => {
        this.#sleepers = this.#sleepers.filter((one) => one !== sleeper);
        reject(new Error("aborted"));
      };
      if (signal?.aborted === true) return abort();
      this.#sleepers.push(sleeper);
      signal?.addEventListener("abort", abort, { once: true });
      for (const seen of this.#asleep.splice(0)) seen();
    });
  }

  /** Until somebody sleeps. */
  asleep(): Promise<void> {
    return this.#sleepers.length > 0 ? Promise.resolve() : new Promise((resolve) => this.#asleep.push(resolve));
  }

  /** Lets time pass, and whoever wakes by it go back to sleep. */
  async pass(ms: number): Promise<void> {
    await this.asleep();
    this.ms += ms;
    const due = this.#sleepers.filter(({ untilMs }) => untilMs <= this.ms);
    this.#sleepers = this.#sleepers.filter((one) => !due.includes(one));
    for (const { wake } of due) wake();
    if (due.length > 0) await this.asleep();
  }
}

let directory: string;
let clock: Hand;
let published: string[];
let isApiDown: boolean;
let problems: unknown[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "assertion-keys-"));
  [clock, published, isApiDown, problems] = [new Hand(), [], false, []];
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const FILE = "assertion-keys.json";
const start = () =>
  AssertionKeys.start({
    directory,
    issuer: ISSUER,
    clock,
    publish: async (jwk) => {
      if (isApiDown) throw new Error("the api is down");
      published.push(jwk);
    },
    onProblem: (error) => problems.push(error),
  });

function grant(id = "ct-1"): ConnectGrant {
  return {
    id,
    sandboxId: SANDBOX,
    workspaceId: WORKSPACE,
    port: 8080,
    userData: '{"user_id":"foo"}',
    epoch: 0,
    embed: false,
    issuedAtMs: clock.ms,
    expiresAtMs: clock.ms + 86_400_000,
    keyId: "",
  };
}

/** Verifies by what is published at this moment, as an app does. */
async function verified(text: string | undefined): Promise<unknown> {
  const unique = [...new Set(published)];
  const keys = await parseKeySet({ keys: unique.map((jwk) => JSON.parse(jwk) as unknown) });
  return verifyAssertion(text ?? "", { keys, issuer: ISSUER, sandboxId: SANDBOX, now: clock.now });
}
const kidOf = (text: string | undefined): string => {
  const header = JSON.parse(Buffer.from((text ?? "").split(".")[0] ?? "", "base64url").toString()) as { kid: string };
  return header.kid;
};

describe("an assertion", () => {
  it("is what an app verifies by the published keys", async () => {
    await using keys = await start();
    await clock.asleep();
    const text = await keys.assertionFor(grant());
    expect(await verified(text)).toMatchObject({
      tokenId: "ct-1",
      userMetadata: { user_id: "foo" },
      workspaceId: WORKSPACE,
    });
    expect(published).toHaveLength(2);
    for (const jwk of published) expect(JSON.parse(jwk)).not.toHaveProperty("d");
  });

  it("is at hand for the next requests of a token, and signed once for many at once", async () => {
    await using keys = await start();
    await clock.asleep();
    const one = grant();
    const many = await Promise.all(Array.from({ length: 20 }, async () => keys.assertionFor(one)));
    expect(new Set(many).size).toBe(1);
    expect(keys.assertionFor(one)).toBe(many[0]);
    clock.ms += 30_000;
    expect(keys.assertionFor(one)).toBeInstanceOf(Promise);
    expect(await keys.assertionFor(one)).not.toBe(many[0]);
  });

  it("is not given before its key was published once", async () => {
    isApiDown = true;
    await using keys = await start();
    await clock.asleep();
    expect(keys.assertionFor(grant())).toBeUndefined();
    expect(problems).toHaveLength(1);
    isApiDown = false;
    await clock.pass(60_000);
    expect(await verified(await keys.assertionFor(grant()))).toBeDefined();
  });

  it("opens nothing: its key is for no connect token", async () => {
    await using keys = await start();
    await clock.asleep();
    const text = (await keys.assertionFor(grant())) ?? "";
    const set = await parseKeySet({ keys: published.map((jwk) => JSON.parse(jwk) as unknown) });
    const verifier = new ConnectTokenVerifier({
      issuer: ISSUER,
      keys: () => set,
      now: clock.now,
      isCurrentEpoch: () => true,
      isRevoked: () => false,
    });
    await expect(verifier.verify(text, { sandboxId: SANDBOX })).rejects.toMatchObject({ code: "Malformed" });
  });
});

describe("the keys", () => {
  it("are kept, for this process alone", async () => {
    await using _keys = await start();
    expect((await stat(join(directory, FILE))).mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).toEqual([FILE]);
  });

  it("are published each hour, for the api forgets those that it does not hear of", async () => {
    await using _keys = await start();
    await clock.pass(PUBLISH_EVERY_MS - 1);
    expect(published).toHaveLength(2);
    await clock.pass(1);
    expect(published).toHaveLength(4);
    expect(new Set(published).size).toBe(2);
  });

  it("are renewed each day, and whoever fetched them before knows the next", async () => {
    await using keys = await start();
    await clock.asleep();
    const first = kidOf(await keys.assertionFor(grant()));
    const known = published.slice(0, 2);
    for (let hour = 0; hour < RENEW_AFTER_MS / PUBLISH_EVERY_MS; hour += 1) await clock.pass(PUBLISH_EVERY_MS);
    const second = await keys.assertionFor(grant());
    expect(kidOf(second)).not.toBe(first);
    expect(known.map((jwk) => (JSON.parse(jwk) as { kid: string }).kid)).toEqual([first, kidOf(second)]);
    expect(new Set(published).size).toBe(3);
  });

  it("stay while the api is down for days: only a published one takes over", async () => {
    await using keys = await start();
    await clock.asleep();
    const first = kidOf(await keys.assertionFor(grant()));
    isApiDown = true;
    await clock.pass(PUBLISH_EVERY_MS);
    for (let day = 0; day < 3; day += 1) await clock.pass(RENEW_AFTER_MS);
    const second = kidOf(await keys.assertionFor(grant()));
    expect(second).not.toBe(first);
    expect(published.map((jwk) => (JSON.parse(jwk) as { kid: string }).kid)).toEqual([first, second]);
    expect(problems.length).toBeGreaterThan(2);
    isApiDown = false;
    await clock.pass(60_000);
    expect(new Set(published).size).toBe(3);
    expect(kidOf(await keys.assertionFor(grant()))).toBe(second);
  });

  it("assert at once after a restart with the api down", async () => {
    let first: string;
    {
      await using keys = await start();
      await clock.asleep();
      first = kidOf(await keys.assertionFor(grant()));
    }
    isApiDown = true;
    await using keys = await start();
    expect(kidOf(await keys.assertionFor(grant()))).toBe(first);
  });

  it("that were never published still assert nothing after a restart", async () => {
    isApiDown = true;
    {
      await using _keys = await start();
      await clock.asleep();
    }
    await using keys = await start();
    expect(keys.assertionFor(grant())).toBeUndefined();
  });

  it.each<[string, (path: string) => Promise<void>]>([
    ["others could read them", (path) => chmod(path, 0o640)],
    ["half of them is there", async (path) => writeFile(path, (await readFile(path)).subarray(0, 100))],
    ["they are something else", (path) => writeFile(path, "{}")],
    [
      "they are for something else",
      async (path) => writeFile(path, (await readFile(path, "utf8")).replaceAll('"assertion"', '"connect-token"')),
    ],
    ["one is bent", async (path) => writeFile(path, (await readFile(path, "utf8")).replace(/"kid":"./, '"kid":"-'))],
  ])("are given up for new ones where %s", async (_name, spoil) => {
    let first: string;
    {
      await using keys = await start();
      await clock.asleep();
      first = kidOf(await keys.assertionFor(grant()));
    }
    await spoil(join(directory, FILE));
    clock = new Hand();
    await using keys = await start();
    await clock.asleep();
    expect(problems).toHaveLength(1);
    expect(String(problems[0])).not.toMatch(/"d"|eyJ/);
    const text = await keys.assertionFor(grant());
    expect(kidOf(text)).not.toBe(first);
    expect(await verified(text)).toBeDefined();
    expect((await stat(join(directory, FILE))).mode & 0o777).toBe(0o600);
  });

  it("must have a place: without one the proxy does not start", async () => {
    await rm(directory, { recursive: true });
    await expect(start()).rejects.toThrow(/ENOENT/);
  });
});
