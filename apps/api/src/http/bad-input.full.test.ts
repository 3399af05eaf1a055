// Every field of every call of the tenants' services, given what it was not made for: over HTTP and over gRPC.
import { randomUUID } from "node:crypto";
import { HTTP_ROUTES } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import type { Base, Findings } from "@sallyport/testkit/bad-input";
import { probeRest, probeWire } from "@sallyport/testkit/bad-input";
import { RestClient } from "@sallyport/testkit/rest-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FakeWorker, obedient } from "../../test/fake-worker.ts";
import type { TestApi } from "../../test/fixtures.ts";
import { createRequest, makeWorkspace, startTestApi } from "../../test/fixtures.ts";

let api: TestApi;
let worker: FakeWorker;
let token: string;
let sandboxId: string;
/** One that no case ends. */
let connected: string;
beforeAll(async () => {
  api = await startTestApi();
  worker = await new FakeWorker(api, obedient).ready();
  const workspace = await makeWorkspace(api, "bad-input");
  token = workspace.token;
  const none = { sandboxes: 0, cpuMillis: 0, memoryMib: 0, diskMib: 0, createsPerMinute: 0 };
  await callUnary(api.admin, api.admin.setWorkspaceQuota, { workspace: "bad-input", ...none });
  const request = createRequest({ waitMs: 10_000, name: "odd" });
  const made = await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, workspace.auth);
  sandboxId = made.sandbox?.id ?? "";
  const other = createRequest({ waitMs: 10_000 });
  connected = (await callUnary(api.sandboxes, api.sandboxes.createSandbox, other, workspace.auth)).sandbox?.id ?? "";
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

const METHODS = HTTP_ROUTES.map(({ method }) => method).filter(
  (method) => !method.includes("/sallyport.v1.SandboxIO/"),
);

const base: Base = (method) => {
  const [, service, name = ""] = /\.(\w+)\/(\w+)$/.exec(method) ?? [];
  if (name === "CreateSandbox") return { idempotencyKey: randomUUID(), command: { argv: ["true"] } };
  if (name === "UpdateNetworkPolicy") return { sandboxId, network: { open: {} } };
  if (name === "ExplainDestination") return { sandboxId, destination: "198.51.100.7:443" };
  if (name === "GetSandboxByName") return { name: "odd" };
  if (name === "CreateConnectToken") return { sandboxId: connected };
  if (name === "RevokeConnectToken") return { sandboxId, tokenId: "ct-01jd0000000000000000000000" };
  if (name === "LookupApp") return { name: "odd" };
  if (name === "CreateImage") return { source: { registryReference: "registry.invalid/odd:1" } };
  if (name === "SetRegistryCredential") return { registry: "registry.invalid", username: "odd", password: "odd" };
  if (name.endsWith("RegistryCredential")) return { registry: "registry.invalid" };
  if (service === "ImageService") return { imageId: "im-01jd0000000000000000000000" };
  return { sandboxId };
};
const baseOf: Base = (method) => {
  const request = base(method);
  return /\/(List(?!ConnectTokens)\w+|GetUsage|GetLocalAuthority)$/.test(method) ? {} : request;
};

function judge(findings: Findings, least: number): void {
  console.log(`${findings.cases} cases, ${findings.accepted} of them legal`);
  expect(findings.faults).toEqual([]);
  expect(findings.cases).toBeGreaterThan(least);
  expect(findings.accepted).toBeLessThan(findings.cases / 2);
}

describe("bad input", () => {
  it("is refused by its field over HTTP", { timeout: 300_000 }, async () => {
    judge(await probeRest(METHODS, baseOf, { client: new RestClient(api.api.httpPort), token }), 800);
  });

  it("is refused by its field over gRPC, whatever the bytes", { timeout: 300_000 }, async () => {
    judge(await probeWire(METHODS, baseOf, { address: api.address, token }), 400);
  });
});
