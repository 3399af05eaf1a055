import { describe, expect, it } from "vitest";
import { id, keySetOf } from "../../test/keys.ts";
import type { RouteChange } from "./change.ts";
import { MAX_REVOKED_TOKENS, MAX_REVOKED_TOKENS_PER_SANDBOX, MAX_ROUTES } from "./limits.ts";
import type { Route } from "./route.ts";
import type { TableChange } from "./route-table.ts";
import { RouteTable } from "./route-table.ts";

const HOUR_MS = 3_600_000;

function makeTable() {
  const time = { nowMs: 1_000_000 };
  const table = new RouteTable({ platformId: "pf", now: () => time.nowMs });
  const changes: TableChange[] = [];
  table.onChange((change) => changes.push(change));
  return { table, time, changes };
}

function route(number: number, more: Partial<Route> = {}): Route {
  return {
    sandboxId: id("sb", number),
    workspaceId: id("ws", 1),
    instanceId: id("in", number),
    state: "running",
    gateway: "/run/open.sock",
    tokenEpoch: 0,
    ...more,
  };
}

function change(revision: number, more: Partial<RouteChange> = {}): RouteChange {
  return { revision, reset: false, routes: [], revoked: [], ...more };
}

describe("RouteTable", () => {
  it("knows nothing at first, and lets nothing count", () => {
    const { table } = makeTable();
    expect(table.revision).toBe(0);
    expect(table.get(id("sb", 1))).toBeUndefined();
    expect(table.isCurrentEpoch(id("sb", 1), 0)).toBe(false);
    expect(table.keys().size).toBe(0);
  });

  it("applies a step and tells whom it concerns", async () => {
    const { changes, table } = makeTable();
    await table.apply(change(7, { routes: [route(1), route(2)] }));
    expect(table.revision).toBe(7);
    expect(table.get(id("sb", 1))).toEqual(route(1));
    const token = { tokenId: id("ct", 1), sandboxId: id("sb", 2), expiresAtMs: 2_000_000 };
    await table.apply(change(8, { revoked: [token] }));
    expect(changes.map(({ sandboxIds }) => [...sandboxIds])).toEqual([[id("sb", 1), id("sb", 2)], [id("sb", 2)]]);
    await table.apply(change(9));
    expect(changes).toHaveLength(2); // a heartbeat concerns nobody
    expect(table.revision).toBe(9);
  });

  it("knows the epoch of each sandbox, and takes a later one as one that is on its way", async () => {
    const { table } = makeTable();
    await table.apply(change(1, { routes: [route(1, { tokenEpoch: 3 })] }));
    expect([2, 3, 4].map((epoch) => table.isCurrentEpoch(id("sb", 1), epoch))).toEqual([false, true, true]);
    expect(table.isCurrentEpoch(id("sb", 2), 3)).toBe(false);
  });

  it("revokes a token of its own sandbox, until it would have expired", async () => {
    const { table, time } = makeTable();
    const token = { tokenId: id("ct", 1), sandboxId: id("sb", 1), expiresAtMs: time.nowMs + 10 };
    await table.apply(change(1, { routes: [route(1)], revoked: [token] }));
    expect(table.isRevoked(id("ct", 1), id("sb", 1))).toBe(true);
    expect(table.isRevoked(id("ct", 1), id("sb", 2))).toBe(false);
    expect(table.isRevoked(id("ct", 2), id("sb", 1))).toBe(false);
    time.nowMs += 9;
    table.forgetWhatIsOver();
    expect(table.isRevoked(id("ct", 1), id("sb", 1))).toBe(true);
    time.nowMs += 1;
    table.forgetWhatIsOver();
    expect(table.isRevoked(id("ct", 1), id("sb", 1))).toBe(false);
  });

  it("knows ended routes for an hour, whether it is told of their end's time or not", async () => {
    const { changes, table, time } = makeTable();
    const ended = route(1, { state: "ended", endedAtMs: time.nowMs - 10 });
    await table.apply(change(1, { routes: [ended, route(2, { state: "ended" }), route(3)] }));
    expect(table.get(id("sb", 1))?.state).toBe("ended");
    time.nowMs += HOUR_MS - 10;
    expect(table.get(id("sb", 1))).toBeUndefined();
    expect(table.get(id("sb", 2))?.state).toBe("ended");
    time.nowMs += 10;
    table.forgetWhatIsOver();
    expect(table.size).toBe(1);
    expect([...(changes.at(-1)?.sandboxIds ?? [])]).toEqual([id("sb", 1), id("sb", 2)]);
    expect(table.get(id("sb", 3))?.state).toBe("running");
  });

  it("follows the keys, and keeps those it has when it is told of none", async () => {
    const { changes, table } = makeTable();
    const old = await keySetOf(1);
    const both = await keySetOf(2);
    await table.apply(change(1, { keySet: old.text }));
    expect(table.keys().has(old.kids[0] ?? "", "connect-token")).toBe(true);
    expect(changes.at(-1)).toEqual({ sandboxIds: new Set(), keysChanged: true });
    await table.apply(change(2));
    expect(table.keys().size).toBe(1);
    await table.apply(change(3, { keySet: both.text }));
    expect(both.kids.map((kid) => table.keys().has(kid, "connect-token"))).toEqual([true, true]);
    expect(table.keys().has(old.kids[0] ?? "", "connect-token")).toBe(false);
  });

  it("forgets everything at a step that begins anew, keys too", async () => {
    const { changes, table } = makeTable();
    const { text } = await keySetOf(1);
    const token = { tokenId: id("ct", 1), sandboxId: id("sb", 1), expiresAtMs: 2_000_000 };
    await table.apply(change(9, { routes: [route(1), route(2)], revoked: [token], keySet: text }));
    await table.apply(change(4, { reset: true, routes: [route(2)] }));
    expect(table.revision).toBe(4);
    expect(table.get(id("sb", 1))).toBeUndefined();
    expect(table.isRevoked(id("ct", 1), id("sb", 1))).toBe(false);
    expect(table.keys().size).toBe(0);
    expect([...(changes.at(-1)?.sandboxIds ?? [])].sort()).toEqual([id("sb", 1), id("sb", 2)]);
  });

  it.each([
    ["an earlier revision", change(4, { routes: [route(2)] })],
    ["a key set that is none", change(6, { routes: [route(2)], keySet: '{"keys":[{"d":"x"}]}' })],
    [
      "more than it holds",
      change(6, { routes: Array.from({ length: MAX_ROUTES + 1 }, (_, number) => route(number + 10)), revoked: [] }),
    ],
  ])("refuses %s wholly", async (_name, bad) => {
    const { changes, table } = makeTable();
    await table.apply(change(5, { routes: [route(1)] }));
    await expect(table.apply(bad)).rejects.toThrow(/revision|key|routes/);
    expect([table.revision, table.size, changes.length]).toEqual([5, 1, 1]);
  });

  describe("with too many revoked tokens", () => {
    const revoke = (sandbox: number, from: number, count: number, expiresAtMs: number) =>
      Array.from({ length: count }, (_, at) => ({
        tokenId: id("ct", from + at),
        sandboxId: id("sb", sandbox),
        expiresAtMs,
      }));

    it("refuses all tokens of that sandbox, and takes everything else", async () => {
      const { table, time, changes } = makeTable();
      const endMs = time.nowMs + 1_000;
      await table.apply(change(1, { routes: [route(1, { tokenEpoch: 3 }), route(2)] }));
      const many = revoke(1, 0, MAX_REVOKED_TOKENS_PER_SANDBOX + 1, endMs);
      await table.apply(change(2, { routes: [route(3)], revoked: [...many, ...revoke(2, 900_000, 1, endMs)] }));
      expect(table.revision).toBe(2);
      expect([3, 4].map((epoch) => table.isCurrentEpoch(id("sb", 1), epoch))).toEqual([false, true]);
      expect([...(changes.at(-1)?.sandboxIds ?? [])]).toContain(id("sb", 1));
      expect(table.get(id("sb", 3))?.state).toBe("running");
      expect([table.isRevoked(id("ct", 900_000), id("sb", 2)), table.isCurrentEpoch(id("sb", 2), 0)]).toEqual([
        true,
        true,
      ]);

      // A restart knows it, too.
      const again = makeTable().table;
      await again.apply(table.snapshot());
      expect(again.isCurrentEpoch(id("sb", 1), 3)).toBe(false);

      // Over with the last of them, or with all tokens of the epoch.
      await again.apply(change(3, { routes: [route(1, { tokenEpoch: 4 })] }));
      expect(again.isCurrentEpoch(id("sb", 1), 4)).toBe(true);
      time.nowMs = endMs;
      table.forgetWhatIsOver();
      expect(table.isCurrentEpoch(id("sb", 1), 3)).toBe(true);
    });

    it("closes the sandbox that has most, when all of them together have too many", async () => {
      const { table, time } = makeTable();
      const endMs = time.nowMs + 1_000;
      const each = MAX_REVOKED_TOKENS / 32 - 1;
      await table.apply(change(1, { routes: Array.from({ length: 40 }, (_, number) => route(number)) }));
      await table.apply(change(2, { revoked: revoke(39, 9_000_000, each + 20, endMs) }));
      for (let sandbox = 0; sandbox < 34; sandbox += 1) {
        await table.apply(change(3, { revoked: revoke(sandbox, sandbox * each, each, endMs) }));
      }
      expect(table.isCurrentEpoch(id("sb", 39), 0)).toBe(false);
      for (let sandbox = 0; sandbox < 34; sandbox += 1) {
        const isRefused =
          table.isRevoked(id("ct", sandbox * each), id("sb", sandbox)) || !table.isCurrentEpoch(id("sb", sandbox), 0);
        expect(isRefused, `sandbox ${sandbox}`).toBe(true);
      }
      expect(table.isCurrentEpoch(id("sb", 35), 0)).toBe(true);
    });

    it("keeps none for what has ended or is not known", async () => {
      const { table } = makeTable();
      await table.apply(change(1, { routes: [route(1), route(2, { state: "ended" })] }));
      const revoked = [1, 2, 3].flatMap((sandbox) => revoke(sandbox, sandbox * 10, 5, 2_000_000));
      await table.apply(change(2, { revoked }));
      expect(table.snapshot().revoked).toHaveLength(5);
      await table.apply(change(3, { routes: [route(1, { state: "ended" })] }));
      expect(table.snapshot().revoked).toEqual([]);
    });
  });

  it("forgets ended routes early where there are too many", async () => {
    const { changes, table } = makeTable();
    await table.apply(change(1, { routes: [route(1, { state: "ended" }), route(2)] }));
    const most = Array.from({ length: MAX_ROUTES - 2 }, (_, number) => route(number + 10));
    await table.apply(change(2, { routes: most }));
    expect(table.get(id("sb", 1))?.state).toBe("ended");
    await table.apply(change(3, { routes: [route(3)] }));
    expect([table.get(id("sb", 1)), table.get(id("sb", 3))?.state, table.size]).toEqual([
      undefined,
      "running",
      MAX_ROUTES,
    ]);
    expect([...(changes.at(-1)?.sandboxIds ?? [])].sort()).toEqual([id("sb", 1), id("sb", 3)]);
  });

  it("stops telling whom it was told to", async () => {
    const { table } = makeTable();
    const told: TableChange[] = [];
    table.onChange((one) => told.push(one))[Symbol.dispose]();
    await table.apply(change(1, { routes: [route(1)] }));
    expect(told).toEqual([]);
  });
});
