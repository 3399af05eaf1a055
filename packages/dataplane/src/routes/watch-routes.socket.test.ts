import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { WatchRoutesResponse, Route as WireRoute } from "@sallyport/contracts";
import { EdgeKind, RouteState } from "@sallyport/contracts";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EdgeService, PLATFORM } from "../../test/edge-service.ts";
import { id, keySetOf } from "../../test/keys.ts";
import { RouteTable } from "./route-table.ts";
import type { RouteWatch, WatchRoutesOptions } from "./watch-routes.ts";
import { watchRoutes } from "./watch-routes.ts";

function route(number: number, more: Partial<WireRoute> = {}): WireRoute {
  return {
    sandboxId: id("sb", number),
    workspaceId: id("ws", 1),
    instanceId: id("in", number),
    state: RouteState.RUNNING,
    gateway: "",
    tokenEpoch: 0,
    tunnels: [],
    ...more,
  };
}

const revoked = (number: number) => ({
  tokenId: id("ct", number),
  sandboxId: id("sb", 1),
  expiresAt: new Date(Date.now() + 60_000),
});

let api: EdgeService;
let path: string;
const watches: RouteWatch[] = [];

beforeEach(async () => {
  api = await EdgeService.start();
  path = join(api.directory, "routes.jsonl");
});

afterEach(async () => {
  for (const watch of watches.splice(0)) await watch[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

/** An edge that lives until the test is over, or is stopped. */
async function startEdge(options: Partial<WatchRoutesOptions> = {}) {
  const table = new RouteTable({ platformId: PLATFORM, now: Date.now });
  const problems: string[] = [];
  const watch = await watchRoutes({
    table,
    client: api.client,
    edgeId: "edge-1",
    kind: EdgeKind.CONNECT,
    ownGateway: "/run/open.sock",
    path,
    onProblem: (problem, error) => problems.push(`${problem}: ${error instanceof Error ? error.message : ""}`),
    ...options,
  });
  watches.push(watch);
  return { table, watch, problems };
}

const until = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 5 });

describe("watchRoutes", () => {
  it("applies parts together once they are complete, and acknowledges then", async () => {
    const { table } = await startEdge();
    await api.stream();
    const { text } = await keySetOf(1);
    api.tell({ revision: 5, reset: true, complete: false, routes: [route(1)], keySet: text });
    api.tell({ revision: 5, complete: false, routes: [route(2, { gateway: "/run/other.sock" })] });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([table.revision, table.size, api.acknowledged.length]).toEqual([0, 0, 0]);
    api.tell({ revision: 5, revoked: [revoked(1)] });
    await until(() => expect(api.acknowledged).toContain(5));
    expect(table.get(id("sb", 1))?.gateway).toBe("/run/open.sock");
    expect(table.get(id("sb", 2))?.gateway).toBe("/run/other.sock");
    expect(table.isRevoked(id("ct", 1), id("sb", 1))).toBe(true);
    expect(table.keys().size).toBe(1);
  });

  it("has caught up once the api has nothing new for it, and not before", async () => {
    const { watch, table } = await startEdge();
    let hasCaughtUp = false;
    void watch.caughtUp.then(() => {
      hasCaughtUp = true;
    });
    await api.stream();
    api.tell({ revision: 5, reset: true, routes: [route(1)] });
    await until(() => expect(api.acknowledged).toEqual([5]));
    expect([table.revision, hasCaughtUp]).toEqual([5, false]);
    api.tell({ revision: 5 });
    await watch.caughtUp;
  });

  it("acknowledges nothing before the edge acts on it", async () => {
    const asked: number[] = [];
    const acts = Promise.withResolvers<void>();
    const { table } = await startEdge({
      ready: async () => {
        asked.push(table.revision);
        await acts.promise;
      },
    });
    await api.stream();
    api.tell({ revision: 5, reset: true, routes: [route(1)] });
    await until(() => expect(asked).toEqual([5]));
    api.tell({ revision: 6, routes: [route(2)] });
    await until(() => expect(table.revision).toBe(6));
    expect(api.acknowledged).toEqual([]);
    acts.resolve();
    await until(() => expect(api.acknowledged).toEqual([5, 6]));
    expect(asked).toEqual([5, 6]);
  });

  it("acknowledges heartbeats, and is fresh while they come", async () => {
    const { watch } = await startEdge();
    expect(watch.silentMs).toBe(Number.POSITIVE_INFINITY);
    await api.stream();
    api.tell({ revision: 3, reset: true });
    await until(() => expect(api.acknowledged).toEqual([3]));
    api.tell({ revision: 3 });
    await until(() => expect(api.acknowledged).toEqual([3, 3]));
    expect(watch.silentMs).toBeLessThan(60_000);
  });

  it("serves what it knew while the api is down, also after a restart, and goes on from there", async () => {
    const first = await startEdge();
    await api.stream();
    const { text } = await keySetOf(1);
    api.tell({ revision: 5, reset: true, routes: [route(1), route(2)], keySet: text });
    api.tell({ revision: 6, routes: [route(2, { state: RouteState.ENDED, endedAt: new Date() })] });
    api.tell({ revision: 7, revoked: [revoked(1)] });
    await until(() => expect(api.acknowledged).toContain(7));
    await api.stop();
    await until(() => expect(first.problems.some((one) => one.startsWith("watch"))).toBe(true));
    expect(first.table.get(id("sb", 1))?.state).toBe("running");
    await new Promise((resolve) => setTimeout(resolve, 300)); // some attempts more
    expect(first.problems.some((one, at) => one === first.problems[at - 1])).toBe(false);
    await first.watch[Symbol.asyncDispose]();

    const second = await startEdge();
    expect(second.table.revision).toBe(7);
    expect(second.table.get(id("sb", 1))?.state).toBe("running");
    expect(second.table.get(id("sb", 2))?.state).toBe("ended");
    expect(second.table.isRevoked(id("ct", 1), id("sb", 1))).toBe(true);
    expect(second.table.keys().size).toBe(1);
    await api.listen();
    await api.stream();
    expect(api.asked.at(-1)).toEqual({ edgeId: "edge-1", kind: EdgeKind.CONNECT, sinceRevision: 7 });
    api.tell({ revision: 8, routes: [route(3)] });
    await until(() => expect(second.table.get(id("sb", 3))?.state).toBe("running"));
    expect(second.table.get(id("sb", 1))?.state).toBe("running");
  });

  it("has on disk whatever it has acknowledged, in a file of its own alone", async () => {
    await startEdge();
    await api.stream();
    api.tell({ revision: 1, reset: true, routes: [route(1)] });
    for (let revision = 2; revision <= 40; revision += 1) api.tell({ revision, revoked: [revoked(revision)] });
    await until(() => expect(api.acknowledged).toContain(40));
    // As after kill -9: nobody was told to stop.
    const { table: again } = await startEdge();
    expect(again.revision).toBe(40);
    expect(again.isRevoked(id("ct", 40), id("sb", 1))).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("takes what comes before a line that was being written", async () => {
    const first = await startEdge();
    await api.stream();
    api.tell({ revision: 1, reset: true, routes: [route(1)] });
    await until(() => expect(api.acknowledged).toContain(1));
    await first.watch[Symbol.asyncDispose]();
    writeFileSync(path, `${readFileSync(path, "utf8")}{"revision":9,"re`);
    const second = await startEdge();
    expect([second.table.revision, second.problems]).toEqual([1, []]);
    await api.stream();
    api.tell({ revision: 2, routes: [route(2)] });
    await until(() => expect(api.acknowledged).toContain(2));
    // Written anew as a whole: a third life reads all of it.
    const { problems, table: third } = await startEdge();
    expect([third.revision, third.size, problems]).toEqual([2, 2, []]);
  });

  it.each<[string, (lines: string[]) => string[]]>([
    ["a damaged line in its middle", ([header = "", first = "", ...rest]) => [header, `${first}x`, ...rest]],
    ["a damaged last line", (lines) => [...lines.slice(0, -2), '{"revision":-9}', ""]],
    [
      "a step that goes back",
      (lines) => [...lines.slice(0, -1), '{"revision":1,"reset":false,"routes":[],"revoked":[]}', ""],
    ],
    ["no header", (lines) => lines.slice(1)],
  ])("lets nothing count of a file with %s, until the api is heard", async (_name, damage) => {
    const { text } = await keySetOf(1);
    const first = await startEdge();
    await api.stream();
    api.tell({ revision: 2, reset: true, routes: [route(1)], keySet: text });
    api.tell({ revision: 3, revoked: [revoked(1)] });
    api.tell({ revision: 4, routes: [route(2)] });
    await until(() => expect(api.acknowledged).toContain(4));
    await first.watch[Symbol.asyncDispose]();
    writeFileSync(path, damage(readFileSync(path, "utf8").split("\n")).join("\n"));
    const { problems, table } = await startEdge();
    expect([table.revision, table.keys().size, table.isCurrentEpoch(id("sb", 1), 0)]).toEqual([0, 0, false]);
    expect(problems.join()).toContain("stored");
    await api.stream();
    expect(api.asked.at(-1)?.sinceRevision).toBe(0);
    api.tell({ revision: 4, reset: true, routes: [route(1)], revoked: [revoked(1)], keySet: text });
    await until(() => expect(table.keys().size).toBe(1));
    expect(table.isRevoked(id("ct", 1), id("sb", 1))).toBe(true);
  });

  it("takes nothing of another platform's file, nor of one that is none", async () => {
    writeFileSync(
      path,
      '{"format":"sallyport-routes-1","platformId":"other"}\n{"revision":4,"reset":true,"routes":[],"revoked":[]}\n',
    );
    const other = await startEdge();
    expect(other.table.revision).toBe(0);
    expect(other.problems.join()).toContain("another platform");
    await other.watch[Symbol.asyncDispose]();
    writeFileSync(path, "\0\0\0\0");
    const zeros = await startEdge();
    expect(zeros.table.revision).toBe(0);
    expect(zeros.problems.join()).toContain("stored");
  });

  it.each<[string, Partial<WatchRoutesResponse>]>([
    ["of another platform", { platformId: "01jd00000000000000000000bb" }],
    ["with an earlier revision", { revision: 4 }],
    ["with a sandbox that is none", { routes: [route(2, { sandboxId: "sb-../../etc" })] }],
    ["with an instance that is none", { routes: [route(2, { instanceId: "" })] }],
    ["with a state that is none", { routes: [route(2, { state: RouteState.UNSPECIFIED })] }],
    ["with a gateway that is no path", { routes: [route(2, { gateway: "127.0.0.1:22" })] }],
    ["with a gateway that no socket has", { routes: [route(2, { gateway: `/${"x".repeat(107)}` })] }],
    ["with a revocation without end", { revoked: [{ tokenId: id("ct", 9), sandboxId: id("sb", 1) }] }],
    ["with a private key", { keySet: '{"keys":[{"kty":"OKP","crv":"Ed25519","d":"x"}]}' }],
    ["with keys that are none", { keySet: "[]" }],
    ["that begins anew in the middle", { reset: true, complete: false, routes: [] }],
  ])("takes nothing of a part %s, and asks again from where it is", async (_name, bad) => {
    const { problems, table } = await startEdge();
    await api.stream();
    api.tell({ revision: 5, reset: true, routes: [route(1)] });
    await until(() => expect(api.acknowledged).toEqual([5]));
    api.tell({ revision: 6, complete: false, routes: [route(3)] });
    api.tell({ revision: 6, ...bad });
    await api.stream();
    expect(problems).toHaveLength(1);
    expect(api.asked.at(-1)?.sinceRevision).toBe(5);
    expect([table.revision, table.size]).toEqual([5, 1]);
    expect(api.acknowledged).toEqual([5]);
  });

  it("dials anew when the api says nothing any more", async () => {
    const { problems } = await startEdge({ silentApiMs: 100 });
    await api.stream();
    await api.stream();
    expect(problems.join()).toContain("silent");
  });

  it("acknowledges nothing that it cannot keep", async () => {
    const { problems, table } = await startEdge({ path: join(api.directory, "missing", "routes.jsonl") });
    await api.stream();
    api.tell({ revision: 1, reset: true, routes: [route(1)] });
    await until(() => expect(problems.join()).toContain("save"));
    expect(table.size).toBe(1);
    expect(api.acknowledged).toEqual([]);
  });
});
