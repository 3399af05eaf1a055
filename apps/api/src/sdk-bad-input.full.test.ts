// Every field of every call of the tenants' services, given by a program with types what it was not made for: through the
// SDK, with the api behind it.
import { METHOD_PRINCIPALS } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import { Client, Sandbox } from "@sallyport/sdk";
import { probeSdk } from "@sallyport/testkit/bad-input";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FakeWorker, obedient } from "../test/fake-worker.ts";
import type { TestApi } from "../test/fixtures.ts";
import { makeWorkspace, startTestApi } from "../test/fixtures.ts";
import { sdkCalls } from "../test/sdk-calls.ts";

let api: TestApi;
let worker: FakeWorker;
let client: Client;
let sandbox: Sandbox;
beforeAll(async () => {
  api = await startTestApi();
  worker = await new FakeWorker(api, obedient).ready();
  const { token } = await makeWorkspace(api, "bad-input");
  const none = { sandboxes: 0, cpuMillis: 0, memoryMib: 0, diskMib: 0, createsPerMinute: 0 };
  await callUnary(api.admin, api.admin.setWorkspaceQuota, { workspace: "bad-input", ...none });
  client = new Client({ url: `http://${api.address}`, token });
  sandbox = await Sandbox.create({ client, name: "odd" });
});
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await worker[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

describe("bad input", () => {
  it("is refused by its option through the SDK", { timeout: 300_000 }, async () => {
    const findings = await probeSdk(sdkCalls({ client, sandbox }));
    console.log(`${findings.cases} cases, ${findings.accepted} of them legal`);
    expect(findings.faults).toEqual([]);
    expect(findings.cases).toBeGreaterThan(600);
    expect(findings.accepted).toBeLessThan(findings.cases / 2);
  });

  it("is tried at every method that a workspace may call here", () => {
    const tried = new Set(sdkCalls({ client, sandbox }).map(({ method }) => method));
    const ours = Object.entries(METHOD_PRINCIPALS)
      .filter(
        ([method, principals]) =>
          (principals as readonly string[]).includes("workspace") && !method.includes("SandboxIO"),
      )
      .map(([method]) => method);
    expect(ours.filter((method) => !tried.has(method))).toEqual([]);
  });
});
