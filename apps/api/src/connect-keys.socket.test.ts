// Keys of connect tokens and of assertions: made, sealed, renewed, published, taken out.
import { AssertionSigner, generateSigningKey, SigningKey } from "@sallyport/connect-token/assertion";
import { ConnectTokenVerifier, parseKeySet, verifyAssertion } from "@sallyport/connect-token/verify";
import { callUnary } from "@sallyport/contracts/grpc";
import { RestClient } from "@sallyport/testkit/rest-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FakeEdge } from "../test/fake-edge.ts";
import { FakeWorker, obedient } from "../test/fake-worker.ts";
import type { TestApi } from "../test/fixtures.ts";
import {
  attachTestApi,
  createRequest,
  eventually,
  makeWorkspace,
  PLATFORM_ID,
  refusal,
  startTestApi,
} from "../test/fixtures.ts";

const DAY_MS = 86_400_000;

let api: TestApi;
let worker: FakeWorker;
let owner: Awaited<ReturnType<typeof makeWorkspace>>;
let sandboxId: string;
beforeAll(async () => {
  api = await startTestApi();
  worker = await new FakeWorker(api, obedient).ready();
  owner = await makeWorkspace(api, "owner");
  const made = await callUnary(
    api.sandboxes,
    api.sandboxes.createSandbox,
    createRequest({ waitMs: 10_000 }),
    owner.auth,
  );
  sandboxId = made.sandbox?.id ?? "";
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

const unset = { userMetadata: undefined, port: undefined, expiresInMs: undefined, embed: false };
const mint = (on: TestApi = api, auth = owner.auth, id = sandboxId) =>
  callUnary(on.sandboxes, on.sandboxes.createConnectToken, { sandboxId: id, ...unset }, auth);
const rotate = (on: TestApi = api) => callUnary(on.admin, on.admin.rotateConnectKey, {});
const listKeys = async (on: TestApi = api) => (await callUnary(on.admin, on.admin.listConnectKeys, {})).keys;
const jwksOf = async (on: TestApi = api) => {
  const { status, headers, json } = await new RestClient(on.api.httpPort).call("GET", "/.well-known/jwks.json", {});
  return { status, headers, keys: (json["keys"] ?? []) as Record<string, string>[] };
};
const kidOf = (token: string) =>
  (JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString()) as { kid: string }).kid;

/** Verifies with the set that an edge has now. */
async function verify(edge: FakeEdge, token: string, id = sandboxId) {
  const keys = await parseKeySet(edge.keySet);
  const verifier = new ConnectTokenVerifier({
    issuer: `sallyport:${PLATFORM_ID}`,
    keys: () => keys,
    now: () => Date.now(),
    isCurrentEpoch: () => true,
    isRevoked: () => false,
  });
  return verifier.verify(token, { sandboxId: id });
}

describe("the keys of connect tokens", () => {
  it("are made once, sealed, and kept over restarts", async () => {
    await using first = await startTestApi();
    const [key] = await listKeys(first);
    expect(key).toMatchObject({ signing: true, removedAt: undefined });
    const sealed = await first.sql("SELECT sealed_private_jwk, connect_keys::text AS row FROM connect_keys");
    expect(sealed).toHaveLength(1);
    expect(Buffer.from(sealed[0]?.["sealed_private_jwk"] as Buffer).toString("latin1")).not.toContain('"d"');
    await using other = await attachTestApi(first.database); // a master key of its own, so a key of its own
    expect((await listKeys(other)).map(({ signing }) => signing)).toEqual([true, true]);
  });

  it("are made once by processes that share a master key", async () => {
    const first = await startTestApi();
    const again = await first.restart();
    expect(await listKeys(again)).toHaveLength(1);
    await again[Symbol.asyncDispose]();
  });

  it("rotate under load, and an edge that follows refuses nothing", { timeout: 60_000 }, async () => {
    await using edge = await new FakeEdge(api, { id: "follower" }).ready();
    let isOver = false;
    const used = new Set<string>();
    const load = Array.from({ length: 4 }, async () => {
      let count = 0;
      while (!isOver) {
        const { token } = await mint();
        used.add(kidOf(token));
        await verify(edge, token); // at once, with what the edge has at this moment
        count += 1;
      }
      return count;
    });
    const rotated: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      const { keyId, staleEdges } = await rotate();
      expect(staleEdges).toEqual([]);
      rotated.push(keyId);
      const { token } = await mint();
      expect(kidOf(token)).toBe(keyId);
    }
    isOver = true;
    const counts = await Promise.all(load);
    expect(Math.min(...counts)).toBeGreaterThan(0);
    expect([...used]).toEqual(expect.arrayContaining(rotated.slice(-1)));
    const keys = await listKeys();
    expect(keys.filter(({ signing }) => signing).map(({ keyId }) => keyId)).toEqual(rotated.slice(-1));
    for (const { signing, removedAt } of keys) {
      if (signing) expect(removedAt).toBeUndefined();
      else expect(removedAt?.getTime()).toBeGreaterThan(Date.now() + DAY_MS);
    }
  });

  it("sign after a notice where an edge says nothing, and the edge is named", { timeout: 60_000 }, async () => {
    await api.sql("DELETE FROM edges"); // those of other tests are gone, and would be named
    await using edge = await new FakeEdge(api, { id: "mute" }).ready();
    edge.acknowledges = false;
    const before = kidOf((await mint()).token);
    const rotating = rotate();
    await eventually("the published key", async () =>
      (await listKeys()).some((key) => key.keyId !== before && key.removedAt === undefined) ? true : undefined,
    );
    expect(kidOf((await mint()).token)).toBe(before);
    const { keyId, staleEdges } = await rotating;
    expect(staleEdges).toEqual(["mute"]);
    expect(kidOf((await mint()).token)).toBe(keyId);
  });

  it("are so many at most", async () => {
    await using fresh = await startTestApi();
    for (let number = 1; number < 8; number += 1) await rotate(fresh);
    expect(await refusal(rotate(fresh))).toMatchObject({ code: "ResourceExhausted" });
    await fresh.sql("UPDATE connect_keys SET retired_at = now() - interval '1 hour' WHERE retired_at IS NOT NULL");
    await fresh.sql("DELETE FROM connect_keys WHERE retired_at < now()");
    await rotate(fresh);
    expect(await listKeys(fresh)).toHaveLength(2);
  });

  it("are renewed when they are old, by one of several processes, and leave with their last token", async () => {
    await using first = await startTestApi();
    await using edge = await new FakeEdge(first, { id: "old" }).ready();
    const before = edge.keySet;
    await first.sql("UPDATE connect_keys SET created_at = now() - interval '31 days'");
    const again = await first.restart(); // looks as it starts
    const renewed = await eventually("another key", async () => {
      const keys = await listKeys(again);
      return keys.length > 1 && keys[1]?.signing ? keys : undefined;
    });
    expect(renewed).toHaveLength(2);
    expect(renewed[0]?.removedAt).toBeInstanceOf(Date);
    await using back = await new FakeEdge(again, { id: "old", since: edge.revision }).ready();
    const told = await eventually("the new set", () => (back.keySet === before ? undefined : back.keySet));
    expect((JSON.parse(told) as { keys: unknown[] }).keys).toHaveLength(2);
    await again.sql("DELETE FROM connect_keys WHERE retired_at IS NOT NULL");
    const left = await eventually("the set without it", () => (back.keySet === told ? undefined : back.keySet));
    expect((JSON.parse(left) as { keys: unknown[] }).keys).toHaveLength(1);
    await again[Symbol.asyncDispose]();
  });
});

describe("the published set", () => {
  it("is everybody's, may be kept for a minute, and holds nothing private", async () => {
    const { status, headers, keys } = await jwksOf();
    expect(status).toBe(200);
    expect(headers.get("cache-control")).toBe("public, max-age=60");
    expect(headers.get("content-type")).toBe("application/jwk-set+json");
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) {
      expect(Object.keys(key).toSorted()).toEqual(["alg", "crv", "kid", "kty", "sallyport:purpose", "use", "x"]);
    }
    const keySet = await parseKeySet({ keys });
    expect(keySet.has(kidOf((await mint()).token), "connect-token")).toBe(true);
    const rest = new RestClient(api.api.httpPort);
    expect((await rest.call("POST", "/.well-known/jwks.json", {})).status).toBe(405);
  });

  it("has the keys of edges, by which apps verify what edges assert", async () => {
    const jwk = await generateSigningKey("assertion");
    const key = await SigningKey.import(jwk);
    await callUnary(api.edges, api.edges.publishAssertionKey, {
      edgeId: "asserter",
      jwk: JSON.stringify(key.publicJwk),
    });
    const { keys } = await eventually("the key", async () => {
      const set = await jwksOf();
      return set.keys.some(({ kid }) => kid === jwk.kid) ? set : undefined;
    });
    await using edge = await new FakeEdge(api, { id: "any" }).ready();
    const grant = await verify(edge, (await mint()).token);
    const issuer = `sallyport:${PLATFORM_ID}`;
    const signer = new AssertionSigner({ issuer, key, now: () => Date.now() });
    const options = { keys: await parseKeySet({ keys }), issuer, sandboxId, now: () => Date.now() };
    expect(await verifyAssertion(await signer.sign(grant), options)).toMatchObject({ userMetadata: undefined });
    // For connect tokens it counts for nothing.
    expect(edge.keySet).not.toContain(jwk.kid);
  });
});

describe("a key for assertions", () => {
  const publish = (edgeId: string, jwk: unknown) =>
    callUnary(api.edges, api.edges.publishAssertionKey, {
      edgeId,
      jwk: typeof jwk === "string" ? jwk : JSON.stringify(jwk),
    });
  const publicOf = async (purpose: "assertion" | "connect-token") =>
    (await SigningKey.import(await generateSigningKey(purpose))).publicJwk;

  it("is one, public, of no other purpose and no other edge's", async () => {
    const good = await publicOf("assertion");
    const bad: [string, unknown][] = [
      ["private", await generateSigningKey("assertion")],
      ["for connect tokens", await publicOf("connect-token")],
      ["no purpose", { ...good, "sallyport:purpose": undefined }],
      ["another id", { ...good, kid: (await publicOf("assertion")).kid }],
      ["another algorithm", { ...good, alg: "HS256" }],
      ["symmetric", { kty: "oct", k: "AAAA", kid: "x" }],
      ["no JSON", "{"],
      ["no object", "null"],
      ["a list", []],
      ["long", { ...good, more: "x".repeat(2_000) }],
    ];
    for (const [what, jwk] of bad) {
      expect(await refusal(publish("one", jwk)), what).toMatchObject({ code: "InvalidArgument", field: "jwk" });
    }
    await publish("one", { ...good, more: "not kept" });
    await publish("one", good);
    expect(await refusal(publish("two", good))).toMatchObject({ code: "AlreadyExists", field: "jwk" });
    expect(await refusal(publish("t/wo", good))).toMatchObject({ code: "InvalidArgument", field: "edge_id" });
    const rows = await api.sql("SELECT public_jwk::text AS jwk, edge_id FROM assertion_keys WHERE id = $1", [good.kid]);
    expect(rows).toHaveLength(1);
    expect(rows[0]?.["edge_id"]).toBe("one");
    expect(rows[0]?.["jwk"]).not.toContain("not kept");
  });

  it("is one of its edge's newest four, and gone two days after the edge's last word", async () => {
    const made: string[] = [];
    for (let number = 0; number < 6; number += 1) {
      const jwk = await publicOf("assertion");
      made.push(jwk.kid);
      await publish("many", jwk);
    }
    const rows = await api.sql("SELECT id FROM assertion_keys WHERE edge_id = 'many' ORDER BY published_at");
    expect(rows.map((row) => row["id"])).toEqual(made.slice(-4));
    await api.sql("UPDATE assertion_keys SET published_at = now() - interval '49 hours' WHERE id = $1", [made[5]]);
    await eventually("the set without it", async () => {
      const { keys } = await jwksOf();
      return keys.some(({ kid }) => kid === made[4]) && !keys.some(({ kid }) => kid === made[5]) ? true : undefined;
    });
  });
});
