// Who may call what: every method at every door, and two workspaces that know nothing of each other.
import type { ServiceDefinition } from "@grpc/grpc-js";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { fromGrpcError, isAppError } from "@sallyport/appkit/errors";
import { METHOD_PRINCIPALS } from "@sallyport/contracts";
import {
  AdminServiceService,
  AppServiceService,
  callServerStream,
  callUnary,
  EdgeServiceService,
  GatewayControlServiceService,
  GatewayServiceService,
  ImageServiceService,
  SandboxIOService,
  SandboxServiceService,
  WorkerServiceService,
  WorkspaceServiceService,
} from "@sallyport/contracts/grpc";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FakeWorker, obedient } from "../test/fake-worker.ts";
import type { TestApi } from "../test/fixtures.ts";
import { bearer, createRequest, makeToken, makeWorkspace, refusal, startTestApi } from "../test/fixtures.ts";
import { BLOCKED } from "../test/policies.ts";

let api: TestApi;
let worker: FakeWorker;
beforeAll(async () => {
  api = await startTestApi();
  worker = await new FakeWorker(api, obedient).ready();
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

const SERVED = [
  SandboxServiceService,
  AppServiceService,
  ImageServiceService,
  WorkspaceServiceService,
  AdminServiceService,
  WorkerServiceService,
  GatewayServiceService,
  EdgeServiceService,
];
const ELSEWHERE = [SandboxIOService, GatewayControlServiceService];

function methodsOf(services: readonly unknown[]) {
  return (services as readonly ServiceDefinition[]).flatMap((service) => Object.values(service));
}

/** The code of a call with an empty request; "answered" when it was let in and found no fault. */
function probe(address: string, method: ReturnType<typeof methodsOf>[number], metadata: Metadata): Promise<string> {
  const client = new Client(address, credentials.createInsecure());
  const empty = () => Buffer.alloc(0);
  const call = client.makeServerStreamRequest(method.path, empty, (bytes: Buffer) => bytes, {}, metadata);
  return new Promise<string>((resolve) => {
    call.on("data", () => resolve("answered"));
    call.on("end", () => resolve("answered"));
    call.on("error", (error) => {
      const known = fromGrpcError(error);
      resolve(isAppError(known) ? known.code : "unknown");
    });
  }).finally(() => {
    call.cancel();
    client.close();
  });
}

describe("every method", () => {
  it.each(["nobody", "workspace", "operator", "worker", "gateway", "edge"])(
    "lets %s in where proto/ says so, and nowhere else",
    async (caller) => {
      const doors: Record<string, string> = {
        operator: `unix:${api.config.operatorSocket}`,
        worker: `unix:${api.config.workerSocket}`,
        gateway: `unix:${api.config.gatewaySocket}`,
        edge: `unix:${api.config.edgeSocket}`,
      };
      const metadata = caller === "workspace" ? bearer(await makeToken(api, "default")) : new Metadata();
      for (const method of methodsOf(SERVED)) {
        const code = await probe(doors[caller] ?? api.address, method, metadata);
        const isMeant = (METHOD_PRINCIPALS[method.path] as readonly string[]).includes(caller);
        const seen = code === "Unauthenticated" || code === "PermissionDenied" ? code : "let in";
        expect(`${method.path} ${seen}`).toBe(
          `${method.path} ${isMeant ? "let in" : caller === "nobody" ? "Unauthenticated" : "PermissionDenied"}`,
        );
      }
    },
  );

  it("of another process is not served here", async () => {
    const metadata = bearer(await makeToken(api, "default"));
    for (const method of methodsOf(ELSEWHERE)) expect(await probe(api.address, method, metadata)).toBe("Internal");
  });

  it("is among the principals of proto/", () => {
    const paths = methodsOf([...SERVED, ...ELSEWHERE]).map((method) => method.path);
    expect(paths.toSorted()).toEqual(Object.keys(METHOD_PRINCIPALS).toSorted());
  });

  it("takes a token at the sockets for nothing", async () => {
    const metadata = bearer(await makeToken(api, "default"));
    const [method] = methodsOf([SandboxServiceService]);
    if (method === undefined) throw new Error("no method");
    expect(await probe(`unix:${api.config.operatorSocket}`, method, metadata)).toBe("PermissionDenied");
  });
});

describe("an API token", () => {
  const list = (metadata: Metadata) => {
    const request = { pageSize: 0, pageToken: "", includeEnded: false, tags: {} };
    return callUnary(api.sandboxes, api.sandboxes.listSandboxes, request, { metadata });
  };

  it("is refused from the moment it is revoked", async () => {
    const answer = await callUnary(api.admin, api.admin.createApiToken, { workspaceName: "default", name: "x" });
    await list(bearer(answer.secret));
    const request = { apiTokenId: answer.apiToken?.id ?? "" };
    const revoked = await callUnary(api.admin, api.admin.revokeApiToken, request);
    expect(await refusal(list(bearer(answer.secret)))).toMatchObject({ code: "Unauthenticated" });
    const again = await callUnary(api.admin, api.admin.revokeApiToken, request);
    expect(again.apiToken?.revokedAt).toEqual(revoked.apiToken?.revokedAt);
  });

  it("is taken whole, alone and as a bearer's", async () => {
    const token = await makeToken(api, "default");
    const other = await makeToken(api, "default");
    const mixed = other.slice(0, 30) + token.slice(30);
    for (const bad of ["", "x", token.slice(0, -1), `${token} `, mixed, `${token},${other}`]) {
      expect(await refusal(list(bearer(bad))), bad).toMatchObject({ code: "Unauthenticated" });
    }
    const basic = new Metadata();
    basic.set("authorization", `Basic ${token}`);
    expect(await refusal(list(basic))).toMatchObject({ code: "Unauthenticated" });
    await list(bearer(token));
  });

  it("is kept as a hash alone, and listed without its secret", async () => {
    const token = await makeToken(api, "default");
    const secret = token.slice(30);
    const rows = await api.sql("SELECT api_tokens::text AS row FROM api_tokens");
    expect(JSON.stringify(rows)).not.toContain(secret);
    const listed = await callUnary(api.admin, api.admin.listApiTokens, { workspaceName: "default" });
    expect(listed.apiTokens.length).toBeGreaterThan(0);
    expect(JSON.stringify(listed)).not.toContain(secret);
  });
});

describe("two workspaces", () => {
  const events = async (sandboxId: string, auth: { metadata: Metadata }) => {
    const request = { sandboxId, afterSeq: 0, follow: true };
    const stream = callServerStream(api.sandboxes, api.sandboxes.watchSandboxEvents, request, auth);
    await stream.next();
  };

  const updateNetwork = (sandboxId: string, auth: { metadata: Metadata }) =>
    callUnary(api.sandboxes, api.sandboxes.updateNetworkPolicy, { sandboxId, network: BLOCKED }, auth);
  const explain = (sandboxId: string, auth: { metadata: Metadata }) =>
    callUnary(api.sandboxes, api.sandboxes.explainDestination, { sandboxId, destination: "198.51.100.7" }, auth);

  it("see nothing of each other, as if it were not there", async () => {
    const [mine, theirs] = [await makeWorkspace(api, "mine"), await makeWorkspace(api, "theirs")];
    const { sandboxes, apps } = api;
    await callUnary(apps, apps.lookupApp, { name: "secret-app", createIfMissing: true }, theirs.auth);
    const tags = { team: "secret" };
    const request = createRequest({ appName: "secret-app", name: "secret", tags, waitMs: 5_000 });
    const created = await callUnary(sandboxes, sandboxes.createSandbox, request, theirs.auth);
    const known = created.sandbox?.id ?? "";
    const unknown = "sb-01jd0000000000000000000000";
    const calls: ((sandboxId: string) => Promise<unknown>)[] = [
      (sandboxId) => callUnary(sandboxes, sandboxes.getSandbox, { sandboxId }, mine.auth),
      (sandboxId) => callUnary(sandboxes, sandboxes.waitSandbox, { sandboxId, waitMs: 100 }, mine.auth),
      (sandboxId) => callUnary(sandboxes, sandboxes.terminateSandbox, { sandboxId, waitMs: 0 }, mine.auth),
      (sandboxId) => callUnary(sandboxes, sandboxes.getIoAccess, { sandboxId }, mine.auth),
      (sandboxId) => callUnary(sandboxes, sandboxes.setSandboxTags, { sandboxId, tags: {} }, mine.auth),
      (sandboxId) => callUnary(sandboxes, sandboxes.sleepSandbox, { sandboxId, waitMs: 0 }, mine.auth),
      (sandboxId) => callUnary(sandboxes, sandboxes.wakeSandbox, { sandboxId, waitMs: 0 }, mine.auth),
      (sandboxId) => updateNetwork(sandboxId, mine.auth),
      (sandboxId) => explain(sandboxId, mine.auth),
      (sandboxId) => events(sandboxId, mine.auth),
    ];
    for (const call of calls) {
      const refused = await refusal(call(known));
      expect(refused).toMatchObject({ code: "NotFound", field: "sandbox_id" });
      const never = await refusal(call(unknown));
      expect({ ...refused, message: refused.message.replace(known, unknown) }).toEqual(never);
    }
    const page = { pageSize: 0, pageToken: "", includeEnded: true, tags: {} };
    const listed = await callUnary(sandboxes, sandboxes.listSandboxes, page, mine.auth);
    expect(listed.sandboxes).toEqual([]);
    const byApp = { ...page, appName: "secret-app" };
    expect((await callUnary(sandboxes, sandboxes.listSandboxes, byApp, mine.auth)).sandboxes).toEqual([]);
    const byName = (name: string, appName?: string) =>
      refusal(callUnary(sandboxes, sandboxes.getSandboxByName, { name, appName }, mine.auth));
    expect(await byName("secret", "secret-app")).toMatchObject({ code: "NotFound", field: "name" });
    expect((await callUnary(sandboxes, sandboxes.listSandboxes, { ...page, tags }, mine.auth)).sandboxes).toEqual([]);
    expect((await callUnary(api.workspaces, api.workspaces.getUsage, {}, mine.auth)).used?.sandboxes).toBe(0);
    const lookup = callUnary(apps, apps.lookupApp, { name: "secret-app", createIfMissing: false }, mine.auth);
    expect(await refusal(lookup)).toMatchObject({ code: "NotFound", field: "name" });
    const inTheirApp = callUnary(
      sandboxes,
      sandboxes.createSandbox,
      createRequest({ appName: "secret-app" }),
      mine.auth,
    );
    expect(await refusal(inTheirApp)).toMatchObject({ code: "NotFound", field: "app_name" });
    const still = await callUnary(sandboxes, sandboxes.getSandbox, { sandboxId: known }, theirs.auth);
    expect(still.sandbox?.outcome).toBeUndefined();
    expect(still.sandbox).toMatchObject({ networkGeneration: 1 });
  });

  it.each([
    "",
    "sb-",
    "in-01jd0000000000000000000000",
    "sb-01JD0000000000000000000000",
    "sb-01jd000000000000000000000",
    "x".repeat(10_000),
  ])("are told of a bad id: %s", async (sandboxId) => {
    const auth = { metadata: bearer(await makeToken(api, "default")) };
    const { sandboxes } = api;
    for (const call of [
      () => callUnary(sandboxes, sandboxes.getSandbox, { sandboxId }, auth),
      () => callUnary(sandboxes, sandboxes.waitSandbox, { sandboxId, waitMs: 0 }, auth),
      () => callUnary(sandboxes, sandboxes.terminateSandbox, { sandboxId, waitMs: 0 }, auth),
      () => callUnary(sandboxes, sandboxes.getIoAccess, { sandboxId }, auth),
      () => callUnary(sandboxes, sandboxes.setSandboxTags, { sandboxId, tags: {} }, auth),
      () => callUnary(sandboxes, sandboxes.sleepSandbox, { sandboxId, waitMs: 0 }, auth),
      () => callUnary(sandboxes, sandboxes.wakeSandbox, { sandboxId, waitMs: 0 }, auth),
      () => updateNetwork(sandboxId, auth),
      () => explain(sandboxId, auth),
      () => events(sandboxId, auth),
    ]) {
      expect(await refusal(call())).toMatchObject({ code: "InvalidArgument", field: "sandbox_id" });
    }
  });
});
