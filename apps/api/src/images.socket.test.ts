// Images of workspaces at a real api: sources, contexts, wishes to a worker, logs, credentials, creates.
import { createHash, randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import type { DesiredImage, ImageSource, ReportImageRequest } from "@sallyport/contracts";
import { DesiredImage_Wish, ImageState } from "@sallyport/contracts";
import { callServerStream, callUnary, ImageServiceClient } from "@sallyport/contracts/grpc";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { FakeWorker, obedient } from "../test/fake-worker.ts";
import type { TestApi } from "../test/fixtures.ts";
import { createRequest, eventually, makeWorkspace, refusal, startTestApi } from "../test/fixtures.ts";

let api: TestApi;
let images: ImageServiceClient;
let worker: FakeWorker;
let auth: Awaited<ReturnType<typeof makeWorkspace>>["auth"];
let serial = 0;
beforeAll(async () => {
  api = await startTestApi();
  images = new ImageServiceClient(api.address, credentials.createInsecure());
  worker = await new FakeWorker(api, obedient).ready();
});
afterAll(async () => {
  await worker[Symbol.asyncDispose]();
  images.close();
  await api[Symbol.asyncDispose]();
});
beforeEach(async () => {
  serial += 1;
  auth = (await makeWorkspace(api, `images-${serial}`)).auth;
});

const reference = (value: string): ImageSource => ({ source: { $case: "registryReference", value } });
const dockerfile = (text: string, context: Uint8Array = new Uint8Array()): ImageSource => ({
  source: {
    $case: "dockerfile",
    value: {
      dockerfile: text,
      contextSize: context.length,
      contextSha256: context.length === 0 ? "" : createHash("sha256").update(context).digest("hex"),
    },
  },
});

async function create(source: ImageSource, force = false) {
  const { image, contextOffset } = await callUnary(images, images.createImage, { source, force }, auth);
  if (image === undefined) throw new Error("no image");
  return { ...image, contextOffset };
}

async function get(imageId: string) {
  return (await callUnary(images, images.getImage, { imageId }, auth)).image;
}

/** What the worker was told last of an image, in detail. */
function wishOf(imageId: string): Promise<DesiredImage> {
  return eventually("a wish", () =>
    worker.messages
      .flatMap((message) => message.images)
      .find((image) => image.imageId === imageId && image.source !== undefined),
  );
}

const NOTHING = { logOffset: 0, log: "", digest: "", size: 0, defaults: undefined, error: "" };
const DIGEST = `sha256:${"c".repeat(64)}`;
const DEFAULTS = { env: { A: "image", B: "image" }, workdir: "/srv", uid: 7, gid: 8, command: ["run"] };

function tell(imageId: string, change: Partial<ReportImageRequest>) {
  const request = { ...NOTHING, workerId: worker.id, imageId, state: ImageState.BUILDING, ...change };
  return callUnary(worker.client, worker.client.reportImage, request);
}

async function watch(imageId: string, offset = 0) {
  let log = "";
  for await (const { event } of callServerStream(images, images.watchImage, { imageId, offset }, auth)) {
    if (event?.$case === "log") log += event.value.text;
    else if (event?.$case === "image") return { log, image: event.value };
  }
  throw new Error("the stream ended without an image");
}

describe("an image", () => {
  it("is wished of a worker, told of, followed, and started from", async () => {
    const image = await create(reference("python:3.12"));
    expect(image).toMatchObject({ state: ImageState.PENDING, source: reference("docker.io/library/python:3.12") });
    expect(await wishOf(image.id)).toMatchObject({ wish: DesiredImage_Wish.HAVE, source: image.source, digest: "" });
    expect(
      await refusal(callUnary(api.sandboxes, api.sandboxes.createSandbox, createRequest({ image: image.id }), auth)),
    ).toMatchObject({ code: "FailedPrecondition", field: "image" });
    const watching = watch(image.id);
    expect((await tell(image.id, { log: "one\n" })).logOffset).toBe(4);
    expect((await tell(image.id, { log: "one\n" })).logOffset).toBe(4); // a retry adds nothing
    expect((await tell(image.id, { logOffset: 4, log: "zw\u00f6lf\0\n" })).logOffset).toBe(12);
    await tell(image.id, { logOffset: 12, state: ImageState.READY, digest: DIGEST, size: 5, defaults: DEFAULTS });
    const { log, image: made } = await watching;
    expect(log).toBe("one\nzw\u00f6lf \n");
    expect(made).toMatchObject({ state: ImageState.READY, digest: DIGEST, size: 5, defaults: DEFAULTS });
    expect((await watch(image.id, 4)).log).toBe("zw\u00f6lf \n");
    expect((await create(reference("docker.io/library/python:3.12"))).id).toBe(image.id);
    expect((await create(reference("python:3.12"), true)).id).not.toBe(image.id);
    const request = createRequest({ image: image.id, env: { B: "create" } });
    const { sandbox } = await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, auth);
    expect(sandbox?.image).toBe(image.id);
    const desired = await eventually("its wish", () =>
      [...worker.desired.values()].find(({ sandboxId }) => sandboxId === sandbox?.id),
    );
    expect(desired.spec).toMatchObject({
      imageDigest: DIGEST,
      env: { A: "image", B: "create" },
      workdir: "/srv",
      uid: 7,
      gid: 8,
    });
  });

  it("takes its context in pieces that may come again, checks it, and throws it away at the end", async () => {
    const context = randomBytes(300_000);
    const image = await create(dockerfile("FROM a\nCOPY . /", context));
    const put = (offset: number, data: Uint8Array) =>
      callUnary(images, images.putBuildContext, { imageId: image.id, offset, data: Buffer.from(data) }, auth);
    expect((await put(0, context.subarray(0, 100_000))).acceptedOffset).toBe(100_000);
    expect((await put(50_000, context.subarray(50_000, 120_000))).acceptedOffset).toBe(120_000);
    expect((await put(200_000, context.subarray(200_000))).acceptedOffset).toBe(120_000); // a gap adds nothing
    expect((await create(dockerfile("FROM a\nCOPY . /", context))).contextOffset).toBe(120_000);
    expect(await refusal(put(299_999, context.subarray(0, 2)))).toMatchObject({
      code: "InvalidArgument",
      field: "data",
    });
    expect(worker.messages.flatMap((message) => message.images).filter(({ imageId }) => imageId === image.id)).toEqual(
      [],
    );
    expect((await put(120_000, context.subarray(120_000))).acceptedOffset).toBe(300_000);
    await wishOf(image.id);
    const read: Buffer[] = [];
    const reading = { workerId: worker.id, imageId: image.id, offset: 1_000 };
    for await (const { data } of callServerStream(worker.client, worker.client.readBuildContext, reading))
      read.push(data);
    expect(Buffer.concat(read).equals(context.subarray(1_000))).toBe(true);
    await tell(image.id, { state: ImageState.FAILED, error: "no", log: "last words\n" });
    expect(await readdir(join(api.config.stateDir, "contexts"))).toEqual([]);
    const refused = await refusal(
      callUnary(api.sandboxes, api.sandboxes.createSandbox, createRequest({ image: image.id }), auth),
    );
    expect(refused.code).toBe("ImageBuildFailed");
    expect(refused.message).toContain("no; the end of its log:\nlast words");
  });

  it("refuses a context with another hash, and takes it anew", async () => {
    const context = Buffer.from("the context");
    const image = await create(dockerfile("FROM a\nCOPY . /", context));
    const put = (data: Uint8Array) =>
      callUnary(images, images.putBuildContext, { imageId: image.id, offset: 0, data: Buffer.from(data) }, auth);
    expect(await refusal(put(Buffer.from("THE CONTEXT")))).toMatchObject({ code: "InvalidArgument", field: "data" });
    expect((await put(context)).acceptedOffset).toBe(context.length);
  });

  it.each([
    [undefined, "source"],
    [reference("UPPER"), "source.registry_reference"],
    [dockerfile("FROM a\nADD http://198.51.100.1/x /"), "source.dockerfile.dockerfile"],
    [
      { source: { $case: "dockerfile", value: { dockerfile: "FROM a", contextSize: 5, contextSha256: "" } } },
      "source.dockerfile.context_sha256",
    ],
    [
      { source: { $case: "dockerfile", value: { dockerfile: "FROM a", contextSize: 2 ** 40, contextSha256: "" } } },
      "source.dockerfile.context_size",
    ],
  ] as const)("is refused with the field at fault: %j", async (source, field) => {
    const call = callUnary(
      images,
      images.createImage,
      { source, force: false } as { source: ImageSource; force: boolean },
      auth,
    );
    expect(await refusal(call)).toMatchObject({ code: "InvalidArgument", field });
  });

  it("is cancelled, and the worker told", async () => {
    const image = await create(reference("a:cancelled"));
    await wishOf(image.id);
    await callUnary(images, images.cancelImage, { imageId: image.id }, auth);
    expect((await get(image.id))?.state).toBe(ImageState.CANCELLED);
    await eventually("a drop", () =>
      worker.messages
        .flatMap((message) => message.images)
        .find((one) => one.imageId === image.id && one.wish === DesiredImage_Wish.DROP),
    );
    await tell(image.id, { state: ImageState.READY, digest: DIGEST, defaults: DEFAULTS }); // too late
    expect((await get(image.id))?.state).toBe(ImageState.CANCELLED);
  });

  it("is given up, and then is not there", async () => {
    const image = await create(reference("a:deleted"));
    await wishOf(image.id);
    await callUnary(images, images.deleteImage, { imageId: image.id }, auth);
    expect(await refusal(get(image.id))).toMatchObject({ code: "NotFound" });
    expect(await refusal(tell(image.id, {}))).toMatchObject({ code: "NotFound" });
    const { images: left } = await callUnary(images, images.listImages, { pageSize: 0, pageToken: "" }, auth);
    expect(left).toEqual([]);
  });

  it("is bounded in number while in the making, and in its log", async () => {
    const made = [];
    for (const tag of ["1", "2", "3", "4"]) made.push(await create(reference(`a:${tag}`)));
    expect(await refusal(create(reference("a:5")))).toMatchObject({ code: "ResourceExhausted" });
    const [first] = made;
    if (first === undefined) throw new Error("none");
    await wishOf(first.id);
    let offset = 0;
    for (let piece = 0; piece < 6; piece += 1) {
      offset = (await tell(first.id, { logOffset: offset, log: "x".repeat(256 * 1024) })).logOffset;
    }
    await tell(first.id, { logOffset: offset, state: ImageState.FAILED, error: "too long" });
    const { log } = await watch(first.id);
    expect(log.length).toBeLessThan(1.1 * 1024 * 1024);
  });

  it("is listed page by page, newest first", async () => {
    const ids = [];
    for (const tag of ["1", "2", "3"]) ids.unshift((await create(reference(`b:${tag}`))).id);
    const first = await callUnary(images, images.listImages, { pageSize: 2, pageToken: "" }, auth);
    const second = await callUnary(images, images.listImages, { pageSize: 2, pageToken: first.nextPageToken }, auth);
    expect([...first.images, ...second.images].map(({ id }) => id)).toEqual(ids);
    expect(second.nextPageToken).toBe("");
  });

  it("of another workspace is not there", async () => {
    const image = await create(reference("a:theirs"));
    const { auth: other } = await makeWorkspace(api, `other-${serial}`);
    const imageId = image.id;
    const missing = "im-01jd0000000000000000000000";
    const calls: readonly ((id: string) => Promise<unknown>)[] = [
      (id) => callUnary(images, images.getImage, { imageId: id }, other),
      (id) => callUnary(images, images.cancelImage, { imageId: id }, other),
      (id) => callUnary(images, images.deleteImage, { imageId: id }, other),
      (id) => callUnary(images, images.putBuildContext, { imageId: id, offset: 0, data: Buffer.from("x") }, other),
      (id) => callUnary(api.sandboxes, api.sandboxes.createSandbox, createRequest({ image: id }), other),
    ];
    for (const call of calls) {
      const theirs = await refusal(call(imageId));
      const none = await refusal(call(missing));
      expect(theirs.message.replaceAll(imageId, missing)).toBe(none.message);
      expect([theirs.code, none.code]).toEqual(["NotFound", "NotFound"]);
    }
    expect((await get(imageId))?.state).toBe(ImageState.PENDING);
  });
});

describe("a registry's credential", () => {
  it("goes to the worker that pulls, and nowhere else", async () => {
    const registry = "registry.example.com:5000";
    const secret = `secret-${randomBytes(8).toString("hex")}`;
    const set = (password: string) =>
      callUnary(images, images.setRegistryCredential, { registry, username: "robot", password }, auth);
    await set("an older one");
    const { credential } = await set(secret);
    expect(credential).toMatchObject({ registry, username: "robot" });
    const listed = await callUnary(images, images.listRegistryCredentials, {}, auth);
    expect(listed.credentials).toHaveLength(1);
    expect(JSON.stringify([credential, listed])).not.toContain(secret);
    const rows = await api.sql(
      "SELECT username, encode(sealed_password, 'escape') AS sealed FROM registry_credentials",
    );
    expect(JSON.stringify(rows)).not.toContain(secret);
    const own = await create(reference(`${registry}/a:1`));
    expect(await wishOf(own.id)).toMatchObject({ registryUsername: "robot", registryPassword: secret });
    const build = await create(dockerfile(`FROM ${registry}/b:1`));
    expect(await wishOf(build.id)).toMatchObject({ registryPassword: secret });
    const foreign = await create(reference("elsewhere.example.com/a:1"));
    expect(await wishOf(foreign.id)).toMatchObject({ registryUsername: "", registryPassword: "" });
    await callUnary(images, images.deleteRegistryCredential, { registry }, auth);
    const again = callUnary(images, images.deleteRegistryCredential, { registry }, auth);
    expect(await refusal(again)).toMatchObject({ code: "NotFound", field: "registry" });
  });

  it.each([
    ["https://a.example", "u", "p", "registry"],
    ["a.example", "", "p", "username"],
    ["a.example", "u:v", "p", "username"],
    ["a.example", "u", "", "password"],
    ["a.example", "u", "p\nq", "password"],
  ])("is refused with the field at fault: %j %j %j", async (registry, username, password, field) => {
    const call = callUnary(images, images.setRegistryCredential, { registry, username, password }, auth);
    expect(await refusal(call)).toMatchObject({ code: "InvalidArgument", field });
  });
});
