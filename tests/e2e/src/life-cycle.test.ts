// Names, tags, limits, events and quotas of real sandboxes: what the api wishes, a worker does, and callers are told.
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { AdminServiceClient, callUnary } from "@sallyport/contracts/grpc";
import type { Client, SandboxEvent } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { newWorkspace } from "./workspace.ts";

let client: Client;
beforeAll(async () => {
  ({ client } = await newWorkspace("life-cycle"));
});
afterAll(async () => {
  await client[Symbol.asyncDispose]();
});

async function eventsOf(sandbox: Sandbox, follow: boolean): Promise<SandboxEvent[]> {
  const read: SandboxEvent[] = [];
  for await (const event of sandbox.events({ follow, timeoutMs: 60_000 })) read.push(event);
  return read;
}

async function idsOf(tags: Record<string, string>): Promise<string[]> {
  const ids: string[] = [];
  for await (const sandbox of Sandbox.list({ client, tags })) ids.push(sandbox.id);
  return ids;
}

describe("a sandbox", () => {
  it("is found by its name and tags, and tells its life to the end", async () => {
    const sandbox = await Sandbox.create({ client, name: "db", tags: { team: "core" } });
    const following = eventsOf(sandbox, true);
    const found = await Sandbox.fromName("default", "db", { client });
    expect(found.id).toBe(sandbox.id);
    await expect(Sandbox.create({ client, name: "db" })).rejects.toMatchObject({
      code: "AlreadyExists",
      field: "name",
    });
    await found.setTags({ team: "core", env: "prod" });
    expect(await idsOf({ env: "prod", team: "core" })).toEqual([sandbox.id]);
    expect(await found.run(["echo", "hello"])).toMatchObject({ stdout: "hello\n" });
    const [echo] = await found.processes();
    expect(echo).toMatchObject({ command: ["echo", "hello"], exitStatus: { exitCode: 0 } });
    expect(
      await found
        .process(echo?.id ?? "")
        .stdout.from(0, { follow: false })
        .text(),
    ).toBe("hello\n");
    await sandbox.sleep();
    expect(sandbox.info.asleep).toBe(true);
    await sandbox.wake();
    await sandbox.terminate();
    const events = await following;
    expect(events.map((event) => event.type)).toEqual([
      "created",
      "placed",
      "started",
      "tags_changed",
      "asleep",
      "awake",
      "stop_requested",
      "ended",
    ]);
    expect(events.at(-1)?.detail).toMatchObject({ reason: "terminated", exitCode: 137 });
    expect(await idsOf({ env: "prod" })).toEqual([]);
    await expect(Sandbox.fromName("default", "db", { client })).rejects.toMatchObject({ code: "NotFound" });
  });

  it("ends when nothing has used it for its idle timeout", async () => {
    await using sandbox = await Sandbox.create({ client, idleTimeoutMs: 1_500 });
    expect(await sandbox.wait({ timeoutMs: 60_000 })).toMatchObject({ reason: "idle" });
    expect((await eventsOf(sandbox, true)).at(-1)).toMatchObject({ type: "ended", detail: { reason: "idle" } });
  });
});

describe("a quota", () => {
  it("stops the next create, and says of what", async () => {
    const { client: small } = await newWorkspace("quota");
    const admin = new AdminServiceClient(
      `unix:${join(inject("home"), "run/api/operator/operator.sock")}`,
      credentials.createInsecure(),
    );
    try {
      const { workspaces } = await callUnary(admin, admin.listWorkspaces, {});
      const workspace = workspaces.map(({ name }) => name).find((name) => name.startsWith("quota-")) ?? "";
      await callUnary(admin, admin.setWorkspaceQuota, { workspace, sandboxes: 1 });
      await using sandbox = await Sandbox.create({ client: small });
      await expect(Sandbox.create({ client: small })).rejects.toMatchObject({ code: "ResourceExhausted" });
      expect(await small.usage()).toMatchObject({ quota: { sandboxes: 1 }, used: { sandboxes: 1 } });
      await sandbox.terminate();
      await using next = await Sandbox.create({ client: small });
      expect(next.id).not.toBe(sandbox.id);
    } finally {
      admin.close();
      await small[Symbol.asyncDispose]();
    }
  });
});
