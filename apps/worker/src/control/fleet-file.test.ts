// The file in which the resolver reads the fleet's addresses.
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger } from "@sallyport/appkit/logger";
import { afterEach, beforeEach, expect, it } from "vitest";
import { FleetFile } from "./fleet-file.ts";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "sallyport-worker-"));
});

afterEach(() => rm(directory, { recursive: true }));

it("holds what was put last, whole, for everybody to read", async () => {
  const path = join(directory, "fleet.cidrs");
  const file = new FleetFile(path, silentLogger);
  const puts = Array.from({ length: 20 }, (_, index) => file.put([`198.51.100.${index}/32`, "2001:db8::1/128"]));
  await Promise.all(puts);
  expect(await readFile(path, "utf8")).toBe("198.51.100.19/32\n2001:db8::1/128\n");
  expect((await stat(path)).mode & 0o444).toBe(0o444);
  expect(await readdir(directory)).toEqual(["fleet.cidrs"]);
  await file.put([]);
  expect(await readFile(path, "utf8")).toBe("");
});

it("tells the log where it cannot be written, and goes on", async () => {
  const told: string[] = [];
  const logger = { ...silentLogger, warn: (_: object, message: string) => void told.push(message) };
  await new FleetFile(join(directory, "missing", "fleet.cidrs"), logger).put([]);
  await new FleetFile(undefined, logger).put([]);
  expect(told).toEqual(["the resolver could not be told the fleet's addresses"]);
});
