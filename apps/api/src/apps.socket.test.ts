// Apps have a bound: a workspace that makes them without end is told, and nobody else.
import { callUnary } from "@sallyport/contracts/grpc";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { TestApi } from "../test/fixtures.ts";
import { makeWorkspace, refusal, startTestApi } from "../test/fixtures.ts";
import { MAX_APPS } from "./domain/limits.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(async () => {
  await api[Symbol.asyncDispose]();
});

it("a workspace has a bounded number of apps", async () => {
  const mine = await makeWorkspace(api, "many");
  const theirs = await makeWorkspace(api, "few");
  const lookup = (name: string, createIfMissing: boolean, { auth } = mine) =>
    callUnary(api.apps, api.apps.lookupApp, { name, createIfMissing }, auth);
  await api.sql(
    `INSERT INTO apps (id, workspace_id, name)
      SELECT 'made-' || n, (SELECT id FROM workspaces WHERE name = 'many'), 'made-' || n FROM generate_series(2, $1::int) n`,
    [MAX_APPS],
  );
  const both = await Promise.allSettled([lookup("a", true), lookup("b", true)]);
  expect(both.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  expect(await refusal(lookup("c", true))).toMatchObject({ code: "ResourceExhausted" });
  expect((await lookup("made-7", true)).app?.name).toBe("made-7");
  expect((await lookup("c", true, theirs)).app?.name).toBe("c");
});
