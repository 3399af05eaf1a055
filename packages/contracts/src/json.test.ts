// Strict JSON: what fits is taken in either spelling, what does not is refused by the path of its field.
import { describe, expect, it } from "vitest";
import { CreateConnectTokenRequest, CreateSandboxRequest, ListSandboxesRequest, ReadOutputRequest } from "./index.ts";
import { LOST_KEY, methodSchema, paramsToJson, requestFault, requestFromJson, SchemaError } from "./json.ts";

const CREATE = "/sallyport.v1.SandboxService/CreateSandbox";
const { input: create } = methodSchema(CREATE);
const { input: list } = methodSchema("/sallyport.v1.SandboxService/ListSandboxes");
const { input: read } = methodSchema("/sallyport.v1.SandboxIO/ReadOutput");

function faultOf(run: () => unknown): { field: string | undefined; reason: string } {
  try {
    run();
  } catch (error) {
    if (error instanceof SchemaError) return error.fault;
    throw error;
  }
  throw new Error("it was taken");
}

describe("a body", () => {
  it("is taken in both spellings", () => {
    const body = JSON.stringify({
      idempotency_key: "k",
      lifetimeMs: "5000",
      waitMs: 7,
      network: { allow: { cidrs: ["10.0.0.0/8"] } },
      env: { A: "b" },
    });
    expect(CreateSandboxRequest.decode(requestFromJson(create, { body, params: {} }))).toMatchObject({
      idempotencyKey: "k",
      lifetimeMs: 5_000,
      waitMs: 7,
      network: { mode: { $case: "allow", value: { cidrs: ["10.0.0.0/8"] } } },
      env: { A: "b" },
    });
  });

  it.each([
    ['{"idempotencyKey": 1}', "idempotency_key"],
    ['{"nope": 1}', "nope"],
    ['{"network": {"allow": {"cidrs": ["10.0.0.0/8", 3]}}}', "network.allow.cidrs[1]"],
    ['{"network": {"open": {}, "blocked": {}}}', "network.blocked"],
    ['{"network": {"open": {"x": 1}}}', "network.open.x"],
    ['{"network": []}', "network"],
    ['{"command": {"argv": "ls"}}', "command.argv"],
    ['{"env": {"A": 1}}', "env.A"],
    ['{"env": []}', "env"],
    ['{"cpuMillis": -1}', "cpu_millis"],
    ['{"cpuMillis": 1.5}', "cpu_millis"],
    ['{"cpuMillis": 4294967296}', "cpu_millis"],
    ['{"cpuMillis": "NaN"}', "cpu_millis"],
    ['{"lifetimeMs": 1e30}', "lifetime_ms"],
    ['{"cpuMillis": 1, "cpu_millis": 2}', "cpu_millis"],
    ['{"image": "a", "image": "b"}', "image"],
    ['{"image": "\\ud800"}', "image"],
    ['{"__proto__": {"image": "x"}}', "__proto__"],
    ['{"constructor": {}}', "constructor"],
    ["[]", undefined],
    ["null", undefined],
    ["{", undefined],
    [`${'{"network":'.repeat(5_000)}1${"}".repeat(5_000)}`, "network.network"],
  ])("that does not fit is refused by its field: %#", (body, field) => {
    const fault = faultOf(() => requestFromJson(create, { body, params: {} }));
    expect(fault.field).toBe(field);
    expect(fault.reason).not.toMatch(/ls|\\ud800/);
  });

  it("does not repeat what it holds", () => {
    const { input } = methodSchema("/sallyport.v1.ImageService/SetRegistryCredential");
    for (const body of ['{"password": ["hunter2"]}', '{"password": "hunter2"', '{"password": "hunter2", "x": 1}']) {
      expect(JSON.stringify(faultOf(() => requestFromJson(input, { body, params: {} })))).not.toContain("hunter2");
    }
  });

  it("must not repeat what is in the path", () => {
    const { input } = methodSchema("/sallyport.v1.SandboxService/WaitSandbox");
    const request = { body: '{"sandboxId": "a"}', params: { sandbox_id: "b" } };
    expect(faultOf(() => requestFromJson(input, request)).field).toBe("sandbox_id");
  });
});

describe("a query", () => {
  it("is read by the types of its fields", () => {
    const params = paramsToJson(list, [
      ["tags[a.b]", "1"],
      ["tags[constructor]", "2"],
      ["pageSize", "10"],
      ["include_ended", "true"],
    ]);
    const request = ListSandboxesRequest.decode(requestFromJson(list, { params }));
    expect(request).toMatchObject({ tags: { "a.b": "1", constructor: "2" }, pageSize: 10, includeEnded: true });
    const short = requestFromJson(read, { params: paramsToJson(read, [["stream", "stderr"]]) });
    expect(ReadOutputRequest.decode(short).stream).toBe(2);
  });

  it.each([
    ["nope", "1", "nope"],
    ["pageSize", "x", "page_size"],
    ["pageSize", "", "page_size"],
    ["pageSize", "-1", "page_size"],
    ["includeEnded", "yes", "include_ended"],
    ["tags", "a", "tags"],
    ["pageSize[a]", "1", "pageSize[a]"],
  ])("of what does not fit is refused by its field: %s=%s", (name, text, field) => {
    const run = () => requestFromJson(list, { params: paramsToJson(list, [[name, text]]) });
    expect(faultOf(run).field).toBe(field);
  });

  it("has each name once, unless it is a list's", () => {
    const twice = [
      ["pageSize", "1"],
      ["page_size", "2"],
    ] as const;
    expect(faultOf(() => paramsToJson(list, twice)).field).toBe("page_size");
    const tags = [
      ["tags[a]", "1"],
      ["tags[a]", "2"],
    ] as const;
    expect(faultOf(() => paramsToJson(list, tags)).field).toBe("tags.a");
  });
});

describe("wire bytes", () => {
  it("that our messages cannot keep are named", () => {
    const lost = requestFromJson(create, { body: `{"env": {"${LOST_KEY}": "x"}}`, params: {} });
    expect(requestFault(CREATE, lost)?.field).toBe("env");
    const large = requestFromJson(create, { body: '{"lifetimeMs": "9007199254740993"}', params: {} });
    expect(requestFault(CREATE, large)?.field).toBe("lifetime_ms");
    expect(requestFault(CREATE, Uint8Array.of(0xff))?.field).toBeUndefined();
    expect(requestFault(CREATE, new Uint8Array())).toBeUndefined();
  });
});

describe("JSON within a request", () => {
  const TOKEN = "/sallyport.v1.SandboxService/CreateConnectToken";
  const { input: token } = methodSchema(TOKEN);
  const sent = (userMetadata: string) =>
    requestFromJson(token, { body: `{"userMetadata": ${userMetadata}}`, params: { sandbox_id: "x" } });

  it("is any", () => {
    const value = { a: [1.5, null, true, "\u{1f4a5}"], constructor: {} };
    expect(requestFault(TOKEN, sent(JSON.stringify(value)))).toBeUndefined();
    const read = CreateConnectTokenRequest.decode(sent(JSON.stringify(value)));
    expect(read.userMetadata).toEqual(value);
    expect(CreateConnectTokenRequest.decode(sent('"\\ud83d\\ude00"')).userMetadata).toBe("\u{1f600}");
  });

  it.each([
    ['"\\ud800"', "user_metadata"],
    ['{"a": ["\\udc00"]}', "user_metadata.a[0]"],
    ['{"\\ud800": 1}', "user_metadata"],
  ])("is well-formed Unicode: %s", (text, field) => {
    expect(faultOf(() => sent(text))).toEqual({ field, reason: "must hold well-formed Unicode" });
  });

  it("has no prototype, at any depth", () => {
    for (const text of ['{"__proto__": 1}', '[{"__proto__": 1}]']) {
      const fault = requestFault(TOKEN, sent(text));
      expect(fault).toMatchObject({ field: expect.stringMatching(/^user_metadata(\[0\])?$/) as string });
    }
  });

  it("is nested so deep and no deeper", () => {
    const nested = (levels: number) => `${"[".repeat(levels)}1${"]".repeat(levels)}`;
    expect(requestFault(TOKEN, sent(nested(49)))).toBeUndefined();
    const reason = "is nested too deep: 49 levels of JSON are the most";
    expect(requestFault(TOKEN, sent(nested(50)))).toEqual({ field: "user_metadata", reason });
    expect(faultOf(() => sent(nested(500))).field).toBe("user_metadata");
  });
});
