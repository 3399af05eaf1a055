// Connect tokens of two api processes that share a database and a master key: what one commits, edges of the other act on.

import { credentials } from "@grpc/grpc-js";
import { callUnary, EdgeServiceClient } from "@sallyport/contracts/grpc";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FakeEdge } from "../test/fake-edge.ts";
import { FakeWorker, obedient } from "../test/fake-worker.ts";
import type { TestApi } from "../test/fixtures.ts";
import { createRequest, eventually, freshConfig, makeWorkspace, startTestApi } from "../test/fixtures.ts";
import { KilledApi } from "../test/killed-api.ts";

let api: TestApi;
let worker: FakeWorker;
let owner: Awaited<ReturnType<typeof makeWorkspace>>;
let sandboxId: string;
let place: Awaited<ReturnType<typeof freshConfig>>;
beforeAll(async () => {
  api = await startTestApi();
  worker = await new FakeWorker(api, obedient).ready();
  owner = await makeWorkspace(api, "owner");
  const request = createRequest({ waitMs: 10_000 });
  const made = await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, owner.auth);
  sandboxId = made.sandbox?.id ?? "";
  place = await freshConfig(api.database);
}, 60_000);
afterAll(async () => {
  await place[Symbol.asyncDispose]();
  await worker[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

/** Another process with the same master key. */
async function startOther() {
  const config = { ...place.config, stateDir: api.config.stateDir };
  const other = new KilledApi(config);
  await other.start();
  return { config, other };
}

async function mint(): Promise<string> {
  const unset = { userMetadata: undefined, port: undefined, expiresInMs: undefined, embed: false };
  const request = { sandboxId, ...unset };
  return (await callUnary(api.sandboxes, api.sandboxes.createConnectToken, request, owner.auth)).tokenId;
}

const revoke = (tokenId: string) =>
  callUnary(api.sandboxes, api.sandboxes.revokeConnectToken, { sandboxId, tokenId }, owner.auth);

describe("two api processes", { timeout: 120_000 }, () => {
  it("have one key, and each answers for the edges of the other", async () => {
    const { config, other } = await startOther();
    await using _other = other;
    await using here = await new FakeEdge(api, { id: "here" }).ready();
    await using there = await new FakeEdge({ config }, { id: "there" }).ready();
    expect(here.keySet).toBe(there.keySet);
    const tokenId = await mint();
    expect(await revoke(tokenId)).toEqual({ staleEdges: [] });
    expect([here.revoked.has(tokenId), there.revoked.has(tokenId)]).toEqual([true, true]);
    const { staleEdges } = await callUnary(api.admin, api.admin.rotateConnectKey, {});
    expect(staleEdges).toEqual([]);
    expect(here.keySet).toBe(there.keySet);
    expect((JSON.parse(there.keySet ?? "") as { keys: unknown[] }).keys).toHaveLength(2);
  });

  it("are one to an edge whose own is killed: it goes on at the other, and has missed nothing", async () => {
    const { config, other } = await startOther();
    const edge = await new FakeEdge({ config }, { id: "orphan" }).ready();
    await other.kill();
    await eventually("the end of its stream", () => (edge.ended === undefined ? undefined : true));
    const [first, second] = [await mint(), await mint()];
    const { staleEdges } = await revoke(first); // it is out of reach, and said to be
    expect(staleEdges).toContain("orphan");
    await using again = await new FakeEdge(api, { id: "orphan", since: edge.revision, routes: edge.routes }).ready();
    expect(again.messages[0]).toMatchObject({ reset: false });
    await eventually("what it missed", () => (again.revoked.has(first) ? true : undefined));
    expect(again.revoked.has(second)).toBe(false);
    await edge[Symbol.asyncDispose]();
    const { staleEdges: none } = await revoke(second);
    expect(none).not.toContain("orphan");
  });

  it("lets nobody in at the edges' door who is none", async () => {
    // Whoever can open the socket is an edge; another principal's socket is not theirs.
    const client = new EdgeServiceClient(`unix:${api.config.gatewaySocket}`, credentials.createInsecure());
    const call = callUnary(client, client.acknowledgeRoutes, { edgeId: "here", revision: 1 });
    await expect(call).rejects.toMatchObject({
      details: expect.stringContaining("is not for a gateway caller") as string,
    });
    client.close();
  });
});
