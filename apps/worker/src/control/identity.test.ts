import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isId } from "@sallyport/contracts";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openIdentity } from "./identity.ts";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sallyport-identity-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

it("is chosen once and kept, and belongs to one platform", async () => {
  const first = await openIdentity(directory, "01j00000000000000000000001", 1_800_000_000_000);
  expect(isId("worker", first.workerId)).toBe(true);
  expect(await openIdentity(directory, "01j00000000000000000000001", 1_900_000_000_000)).toEqual(first);
  await expect(openIdentity(directory, "01j00000000000000000000002", 0)).rejects.toThrow("belongs to the platform");
});

it("is never made anew over one that cannot be read", async () => {
  await mkdir(join(directory, "worker.json")); // reading it fails with EISDIR, for root too
  await expect(openIdentity(directory, "01j00000000000000000000001", 0)).rejects.toThrow("EISDIR");
});
