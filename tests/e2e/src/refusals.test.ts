// What is refused, how it is said, and that it leaves nothing behind.

import type { CreateOptions } from "@sallyport/sdk";
import { App, Client, Sandbox } from "@sallyport/sdk";
import { beforeAll, describe, expect, it } from "vitest";
import { newWorkspace } from "./workspace.ts";

let mine: Awaited<ReturnType<typeof newWorkspace>>;
let other: Awaited<ReturnType<typeof newWorkspace>>;
beforeAll(async () => {
  mine = await newWorkspace("refusals");
  other = await newWorkspace("other");
});

async function living(client: Client): Promise<number> {
  let count = 0;
  for await (const _ of Sandbox.list({ client })) count += 1;
  return count;
}

describe("bad input", () => {
  const cases: readonly (readonly [string, readonly string[] | undefined, CreateOptions, string])[] = [
    ["an empty command", [], {}, "command"],
    ["a CIDR with host bits", undefined, { network: { allow: ["198.51.100.1/24"] } }, "network.allow[0]"],
    ["a CIDR that is none", undefined, { network: { allow: ["198.51.100.0/24", "nonsense"] } }, "network.allow[1]"],
    ["a CIDR in octal", undefined, { network: { allow: ["010.0.0.0/8"] } }, "network.allow[0]"],
    ["loopback allowed", undefined, { network: { allow: ["127.0.0.0/8"] } }, "network.allow[0]"],
    ["metadata allowed", undefined, { network: { allow: ["169.254.169.254/32"] } }, "network.allow[0]"],
    ["private space without a grant", undefined, { network: { allow: ["10.1.0.0/16"] } }, "network.allow[0]"],
    ["no memory to speak of", undefined, { memoryMiB: 1 }, "memoryMiB"],
    ["no processor", undefined, { cpu: 0 }, "cpu"],
    ["no life", undefined, { lifetimeMs: 1 }, "lifetimeMs"],
    ["a relative working directory", undefined, { workdir: "usr" }, "workdir"],
    ["a bad variable name", undefined, { env: { "A=B": "c" } }, "env"],
    ["an unknown image", undefined, { image: `im-${"0".repeat(26)}` }, "image"],
    ["a reference that is none", undefined, { image: "no such image" }, "image"],
    ["an unknown app", undefined, { app: "nosuch" }, "app"],
  ];
  it.each(cases)("%s is InvalidArgument or NotFound at its field", async (_, command, options, field) => {
    const all = { ...options, client: mine.client } as CreateOptions;
    const error = await (command === undefined ? Sandbox.create(all) : Sandbox.create(command, all)).catch(
      (e: unknown) => e,
    );
    expect(error).toMatchObject({ code: expect.stringMatching(/^(InvalidArgument|NotFound)$/) as string });
    expect((error as { field?: string }).field).toContain(field);
    expect((error as Error).message).not.toBe("");
  });

  it("blockNetwork together with an allow list is refused", async () => {
    const both = { blockNetwork: true, outboundCidrAllowlist: ["198.51.100.0/24"], client: mine.client };
    await expect(Sandbox.create(both as unknown as CreateOptions)).rejects.toMatchObject({ code: "InvalidArgument" });
  });

  it("a program that is not there is said at create and at exec", async () => {
    const missing = Sandbox.create(["/no/such/program"], { client: mine.client });
    await expect(missing).rejects.toMatchObject({ code: "InvalidArgument", field: "command" });
    await using sandbox = await Sandbox.create({ client: mine.client });
    await expect(sandbox.run(["/no/such/program"])).rejects.toMatchObject({
      code: "InvalidArgument",
      field: "command",
    });
    await expect(sandbox.run(["true"], { workdir: "/no/such/place" })).rejects.toMatchObject({ field: "workdir" });
    await expect(sandbox.exec([])).rejects.toMatchObject({ code: "InvalidArgument", field: "command" });
  });

  it("leaves nothing behind", async () => {
    await expect.poll(() => living(mine.client), { timeout: 10_000 }).toBe(0);
  });
});

describe("callers", () => {
  it("with a wrong token are Unauthenticated", async () => {
    const wrong = `${mine.token.slice(0, -4)}AAAA`;
    const client = new Client({ url: mine.url, token: wrong });
    await expect(Sandbox.create({ client })).rejects.toMatchObject({ code: "Unauthenticated" });
    const nonsense = new Client({ url: mine.url, token: "nonsense" });
    const error = await Sandbox.create({ client: nonsense }).catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "Unauthenticated" });
    expect(String(error)).not.toContain("nonsense");
  });

  it("meet another workspace's sandbox as if there were none", async () => {
    await using sandbox = await Sandbox.create({ client: mine.client });
    const foreign = await Sandbox.fromId(sandbox.id, { client: other.client }).catch((e: unknown) => e);
    const unknown = await Sandbox.fromId("sb-01hzzzzzzzzzzzzzzzzzzzzzzz", { client: other.client }).catch(
      (e: unknown) => e,
    );
    expect(foreign).toMatchObject({ code: "NotFound" });
    expect((foreign as Error).message.replace(sandbox.id, "ID")).toBe(
      (unknown as Error).message.replace("sb-01hzzzzzzzzzzzzzzzzzzzzzzz", "ID"),
    );
    expect(await living(other.client)).toBe(0);
  });

  it("with a malformed id are told so", async () => {
    await expect(Sandbox.fromId("nonsense", { client: mine.client })).rejects.toMatchObject({
      code: "InvalidArgument",
    });
  });

  it("look apps up by name within their workspace", async () => {
    const { client } = mine;
    await expect(App.lookup("render", { client })).rejects.toMatchObject({ code: "NotFound" });
    const app = await App.lookup("render", { client, createIfMissing: true });
    expect((await App.lookup("render", { client })).id).toBe(app.id);
    await expect(App.lookup("render", { client: other.client })).rejects.toMatchObject({ code: "NotFound" });
    await expect(App.lookup("No Good", { client, createIfMissing: true })).rejects.toMatchObject({
      code: "InvalidArgument",
    });
  });
});
