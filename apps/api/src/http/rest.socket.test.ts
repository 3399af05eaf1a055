// The api over HTTP: what programs of a workspace do without an SDK.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { MAX_CALLS_PER_WORKSPACE } from "@sallyport/appkit/http";
import { HTTP_ROUTES } from "@sallyport/contracts";
import type { JsonObject } from "@sallyport/contracts/json";
import { RestClient } from "@sallyport/testkit/rest-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FakeWorker, obedient } from "../../test/fake-worker.ts";
import type { TestApi } from "../../test/fixtures.ts";
import { eventually, makeWorkspace, startTestApi } from "../../test/fixtures.ts";

let api: TestApi;
let worker: FakeWorker;
let rest: RestClient;
let token: string;
beforeAll(async () => {
  api = await startTestApi();
  worker = await new FakeWorker(api, obedient).ready();
  rest = new RestClient(api.api.httpPort);
  ({ token } = await makeWorkspace(api, "rest"));
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

async function create(change: JsonObject = {}, as = token): Promise<JsonObject & { id: string }> {
  const body = { idempotencyKey: randomUUID(), waitMs: 5_000, ...change };
  const { status, json } = await rest.call("POST", "/v1/sandboxes", { token: as, body });
  expect(status, JSON.stringify(json)).toBe(200);
  return json["sandbox"] as JsonObject & { id: string };
}

describe("the routes", () => {
  it("lead a sandbox through its life", async () => {
    const made = await create({ name: "job-1", tags: { team: "a" }, command: { argv: ["true"] }, env: { A: "b" } });
    expect(made).toMatchObject({ name: "job-1", tags: { team: "a" }, state: "SANDBOX_STATE_RUNNING", asleep: false });
    expect(made["lifetimeMs"]).toBe("3600000");
    const path = `/v1/sandboxes/${made.id}`;
    const get = await rest.call("GET", path, { token });
    expect(get).toMatchObject({ status: 200, json: { sandbox: { id: made.id, command: { argv: ["true"] } } } });
    const named = await rest.call("GET", "/v1/sandbox-names/job-1", { token });
    expect(named.json).toMatchObject({ sandbox: { id: made.id } });
    const tags = await rest.call("PUT", `${path}/tags`, { token, body: { tags: { team: "b", constructor: "x" } } });
    expect(tags.json).toMatchObject({ sandbox: { tags: { team: "b", constructor: "x" } } });
    const listed = await rest.call("GET", "/v1/sandboxes?tags[team]=b&pageSize=10&include_ended=false", { token });
    expect(listed.json).toMatchObject({ sandboxes: [{ id: made.id }], nextPageToken: "" });
    const other = await rest.call("GET", "/v1/sandboxes?tags%5Bteam%5D=a", { token });
    expect(other.json).toMatchObject({ sandboxes: [] });
    const access = await rest.call("POST", `${path}/io-access`, { token });
    const { ioAccess } = access.json as { ioAccess: Record<string, string> };
    expect(Object.keys(ioAccess).toSorted()).toEqual(["address", "expiresAt", "token", "url"]);
    expect(ioAccess["address"]).toMatch(/:\d+$/);
    const unended = await rest.call("POST", `${path}/wait`, { token, body: { waitMs: "0" } });
    expect(unended.json["sandbox"]).not.toHaveProperty("outcome");
    const ended = await rest.call("POST", `${path}/terminate`, { token, body: { wait_ms: 5_000 } });
    expect(ended.json).toMatchObject({
      sandbox: { state: "SANDBOX_STATE_ENDED", outcome: { reason: "END_REASON_TERMINATED", exitCode: 137 } },
    });
  });

  it("repeat a create with the same key, and refuse it with other content", async () => {
    const body = { idempotencyKey: "once", cpuMillis: 500 };
    const [first, again] = [
      await rest.call("POST", "/v1/sandboxes", { token, body }),
      await rest.call("POST", "/v1/sandboxes", { token, body }),
    ];
    expect((again.json["sandbox"] as JsonObject)["id"]).toBe((first.json["sandbox"] as JsonObject)["id"]);
    const other = await rest.call("POST", "/v1/sandboxes", { token, body: { ...body, cpuMillis: 501 } });
    expect(other).toMatchObject({ status: 409, json: { code: "AlreadyExists", field: "idempotency_key" } });
  });

  it("change what a sandbox may reach, and explain it", async () => {
    const allow = {
      cidrs: ["2001:db8::/32"],
      rules: [{ cidr: "198.51.100.0/24", ports: [{ first: 443, last: 443 }] }],
    };
    const made = await create({ network: { allow } });
    const stated = { ...allow, rules: [{ ...allow.rules[0], protocol: "IP_PROTOCOL_UNSPECIFIED" }] };
    expect(made).toMatchObject({ network: { allow: stated }, networkGeneration: "1", networkPending: false });
    const path = `/v1/sandboxes/${made.id}/network`;
    const ask = async (destination: string) => {
      const query = new URLSearchParams({ destination });
      return rest.call("GET", `${path}/explain?${query.toString()}`, { token });
    };
    expect((await ask("198.51.100.7:443")).json).toMatchObject({ allowed: true, rule: "allow 198.51.100.0/24" });
    expect((await ask("198.51.100.7:22")).json).toMatchObject({
      allowed: false,
      rule: "unlisted",
      hint: expect.stringContaining("198.51.100.7") as string,
    });
    const tcp = { ...allow.rules[0], protocol: "IP_PROTOCOL_TCP" };
    const changed = await rest.call("PUT", path, { token, body: { network: { allow: { rules: [tcp] } } } });
    expect(changed.json).toMatchObject({ sandbox: { networkGeneration: "2", network: { allow: { rules: [tcp] } } } });
    for (const [body, field] of [
      [{}, "network"],
      [{ network: {} }, "network"],
      [
        { network: { allow: { rules: [{ ...tcp, ports: [{ first: 0, last: 7 }] }] } } },
        "network.allow.rules[0].ports[0]",
      ],
      [{ network: { allow: { rules: [{ ...tcp, protocol: "IP_PROTOCOL_GRE" }] } } }, "network.allow.rules[0].protocol"],
    ] as const) {
      const refused = await rest.call("PUT", path, { token, body });
      expect(refused).toMatchObject({ status: 400, json: { code: "InvalidArgument", field } });
    }
    expect(await ask("")).toMatchObject({ status: 400, json: { field: "destination" } });
    const events = await rest.events(`/v1/sandboxes/${made.id}/events`, { token });
    expect(events.at(-1)?.data).toMatchObject({
      event: { type: "network_policy_changed", detail: { generation: 2, by: "update" } },
    });
  });

  it("make, list and revoke connect tokens", async () => {
    const { id } = await create();
    const path = `/v1/sandboxes/${id}/connect-tokens`;
    const body = { userMetadata: { roles: ["a", 1, null] }, port: 3_000, expiresInMs: "60000" };
    const made = await rest.call("POST", path, { token, body });
    expect(made).toMatchObject({ status: 200, json: { url: `https://${id}.localhost:7443`, warnings: [] } });
    const { tokenId } = made.json as { tokenId: string };
    const bare = await rest.call("POST", path, { token });
    expect(bare.status).toBe(200);
    const listed = await rest.call("GET", path, { token });
    expect(listed.json["tokens"]).toMatchObject([{ port: 8_080 }, { tokenId, port: 3_000, embed: false }]);
    expect(await rest.call("DELETE", `${path}/${tokenId}`, { token })).toMatchObject({
      status: 200,
      json: { staleEdges: [] },
    });
    expect(await rest.call("DELETE", path, { token })).toMatchObject({ status: 200, json: { staleEdges: [] } });
    const { tokens } = (await rest.call("GET", path, { token })).json as { tokens: { revokedAt?: string }[] };
    expect(tokens.map(({ revokedAt }) => typeof revokedAt)).toEqual(["string", "string"]);
    const long = await rest.call("POST", path, { token, body: { user_metadata: "x".repeat(600) } });
    expect(long).toMatchObject({ status: 400, json: { field: "user_metadata" } });
  });

  it("know apps and usage", async () => {
    const made = await rest.call("POST", "/v1/apps", { token, body: { name: "web", createIfMissing: true } });
    expect(made).toMatchObject({ status: 200, json: { app: { name: "web" } } });
    const usage = await rest.call("GET", "/v1/usage", { token });
    expect([usage.status, Object.keys(usage.json)]).toEqual([200, ["quota", "used"]]);
  });

  it("answer a HEAD without a body, and say what else they take", async () => {
    const head = await rest.fetch("HEAD", "/v1/usage", { token });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    const options = await rest.fetch("OPTIONS", "/v1/sandboxes", { token });
    expect([options.status, options.headers.get("allow")]).toEqual([405, "POST, GET"]);
    expect(options.headers.get("access-control-allow-origin")).toBeNull();
    await options.body?.cancel();
    const stream = await rest.fetch("HEAD", "/v1/sandboxes/sb-01jd0000000000000000000000/events", { token });
    expect(stream.status).toBe(405);
  });

  it("are all of the api's that proto/ has, and described", async () => {
    const { json } = await rest.call("GET", "/v1/openapi.json");
    expect(json).toMatchObject({ openapi: "3.1.0" });
    for (const route of HTTP_ROUTES) {
      const path = route.path.replaceAll(/\{\w+\}/g, "x");
      const { status } = await rest.call(route.verb, path);
      const isOurs = !route.method.includes("/sallyport.v1.SandboxIO/");
      if (isOurs) expect(`${route.method} ${status}`).toBe(`${route.method} 401`);
      else expect(status).toBe(404);
    }
  });
});

describe("events of a sandbox", () => {
  it("go on after the last that was seen", async () => {
    const { id } = await create();
    const path = `/v1/sandboxes/${id}/events`;
    const all = await rest.events(path, { token });
    expect(all.map(({ id: seq }) => seq)).toEqual(all.map((_, index) => String(index + 1)));
    expect(all[0]).toMatchObject({ event: "message", data: { event: { type: "created", seq: "1" } } });
    const [first = { id: "" }, ...rest1] = all;
    const resumed = await rest.events(`${path}?afterSeq=0`, { token, headers: { "last-event-id": first.id ?? "" } });
    expect(resumed).toEqual(rest1);
    expect(await rest.events(`${path}?after_seq=1`, { token })).toEqual(rest1);
    const following = rest.events(`${path}?follow=true`, { token });
    await rest.call("POST", `/v1/sandboxes/${id}/terminate`, { token });
    const last = (await following).at(-1);
    expect(last?.data).toMatchObject({ event: { type: "ended" } });
  });

  it("are cut, not mixed with a refusal, when garbage follows the request", async () => {
    const { id } = await create();
    const head = `GET /v1/sandboxes/${id}/events?follow=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`;
    const socket = connect(rest.port, "127.0.0.1");
    let seen = "";
    socket.on("data", (chunk: Buffer) => {
      if (!seen.includes("event: ") && chunk.includes("event: ")) socket.write("this is no HTTP\r\n\r\n");
      seen += chunk.toString();
    });
    socket.write(head);
    await once(socket, "close");
    expect(seen).toContain("event: ");
    expect(seen.split("HTTP/1.1 ")).toHaveLength(2);
  });

  it("are refused by status, not by event", async () => {
    const none = await rest.call("GET", "/v1/sandboxes/sb-01jd0000000000000000000000/events", { token });
    expect(none).toMatchObject({ status: 404, type: "application/problem+json", json: { field: "sandbox_id" } });
    const bad = { token, headers: { "last-event-id": "x" } };
    const refused = await rest.call("GET", "/v1/sandboxes/sb-01jd0000000000000000000000/events", bad);
    expect(refused).toMatchObject({ status: 400, json: { field: "Last-Event-ID" } });
  });
});

describe("who calls", () => {
  it("proves it, and is told how", async () => {
    for (const headers of [{}, { authorization: "Basic eDp5" }, { authorization: `Bearer ${token}x` }]) {
      const { headers: answered, ...rest1 } = await rest.call("GET", "/v1/sandboxes", { headers });
      expect(rest1).toMatchObject({
        status: 401,
        json: { code: "Unauthenticated", type: "urn:sallyport:error:Unauthenticated" },
      });
      expect(answered.get("www-authenticate")).toMatch(/^Bearer /);
    }
  });

  it("is proven before its body is read", async () => {
    const { status } = await rest.call("POST", "/v1/sandboxes", { body: "{" });
    expect(status).toBe(401);
  });

  it("of another workspace finds nothing", async () => {
    const { id } = await create({ name: "secret", tags: { k: "v" } });
    const theirs = await makeWorkspace(api, "rest-others");
    const unknown = "sb-01jd0000000000000000000009";
    const routes = HTTP_ROUTES.filter(({ path }) => path.includes("{sandbox_id}"));
    expect(routes.length).toBeGreaterThan(6);
    for (const { path, verb } of routes) {
      const ask = (target: string) =>
        rest.call(verb, path.replace("{sandbox_id}", target).replace("{token_id}", "ct-01jd0000000000000000000000"), {
          token: theirs.token,
          ...(verb === "PUT" ? { body: {} } : {}),
        });
      const [known, never] = [await ask(id), await ask(unknown)];
      expect(known, path).toMatchObject({ status: 404, json: { code: "NotFound", field: "sandbox_id" } });
      const same = { requestId: "", detail: (known.json as { detail: string }).detail.replace(id, unknown) };
      expect({ ...known.json, ...same }).toEqual({ ...never.json, requestId: "" });
    }
    const named = await rest.call("GET", "/v1/sandbox-names/secret", { token: theirs.token });
    expect(named.status).toBe(404);
    const listed = await rest.call("GET", "/v1/sandboxes?tags[k]=v&includeEnded=true", { token: theirs.token });
    expect(listed.json["sandboxes"]).toEqual([]);
  });
});

describe("calls in flight", () => {
  it("of one workspace leave the others theirs", async () => {
    const greedy = await makeWorkspace(api, "greedy");
    const { id } = await create({}, greedy.token);
    const path = `/v1/sandboxes/${id}`;
    const stop = new AbortController();
    const follow = () => rest.fetch("GET", `${path}/events?follow=true`, { token: greedy.token }, stop.signal);
    const streams = await Promise.all(Array.from({ length: MAX_CALLS_PER_WORKSPACE }, follow));
    expect(new Set(streams.map(({ status }) => status))).toEqual(new Set([200]));
    const refused = await rest.call("GET", path, { token: greedy.token });
    expect(refused).toMatchObject({ status: 429, json: { code: "ResourceExhausted", retryAfterMs: 1_000 } });
    expect(refused.headers.get("retry-after")).toBe("1");
    expect((await rest.call("GET", "/v1/usage", { token })).status).toBe(200);
    stop.abort();
    await eventually("the places are free again", async () => {
      const { status } = await rest.call("GET", path, { token: greedy.token });
      return status === 200 ? status : undefined;
    });
  });
});

describe("a request id", () => {
  it("is taken when it is a plain word, and given otherwise", async () => {
    const named = await rest.call("GET", "/v1/usage", { token, headers: { "x-request-id": "my-request-1" } });
    expect(named.headers.get("x-request-id")).toBe("my-request-1");
    const bad = await rest.call("GET", "/v1/nowhere", { headers: { "x-request-id": "a b" } });
    expect(bad.json["requestId"]).toBe(bad.headers.get("x-request-id"));
    expect(bad.json["requestId"]).toMatch(/^[0-9a-f-]{36}$/);
    expect(named.headers.get("x-content-type-options")).toBe("nosniff");
    expect(named.headers.get("cache-control")).toBe("no-store");
  });
});
