// Images that were given up go with their logs once nobody can be on the way with them; the others stay.
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { silentLogger } from "@sallyport/appkit/logger";
import { callUnary, ImageServiceClient } from "@sallyport/contracts/grpc";
import { expect, it } from "vitest";
import { makeWorkspace, startTestApi } from "../test/fixtures.ts";
import { DELETED_IMAGE_LIFE_MS } from "./domain/image.ts";
import { openBuildContexts } from "./services/build-contexts.ts";
import { sweepImages } from "./services/image-janitor.ts";
import { openDatabase } from "./store/database.ts";

it("an image that was given up is forgotten after a while", async () => {
  await using api = await startTestApi();
  const { auth } = await makeWorkspace(api, "images");
  const client = new ImageServiceClient(api.address, credentials.createInsecure());
  const make = async () => {
    const value = `registry.example.com/${randomBytes(4).toString("hex")}:1`;
    const source = { source: { $case: "registryReference" as const, value } };
    const { image } = await callUnary(client, client.createImage, { source, force: true }, auth);
    await api.sql(`INSERT INTO image_logs (image_id, log_offset, text) VALUES ($1, 0, 'log')`, [image?.id]);
    return image?.id ?? "";
  };
  const [kept, dropped] = [await make(), await make()];
  await callUnary(client, client.deleteImage, { imageId: dropped }, auth);
  client.close();
  const directory = await mkdtemp(join(tmpdir(), "sp-contexts-"));
  const { db, ...database } = openDatabase(api.config.database, silentLogger);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  stack.use(database);
  const contexts = await openBuildContexts(directory);
  const left = async (afterMs: number) => {
    await sweepImages({ db, contexts }, Date.now() + afterMs, new AbortController().signal);
    const rows = await api.sql(`SELECT image_id FROM image_logs ORDER BY image_id`);
    return rows.map((row) => row["image_id"]);
  };
  expect(await left(0)).toEqual([kept, dropped]);
  expect(await left(DELETED_IMAGE_LIFE_MS + 60_000)).toEqual([kept]);
});
