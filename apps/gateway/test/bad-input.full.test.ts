// Every field of every call of SandboxIO, given what it was not made for: over HTTP and over gRPC, with the real init.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HTTP_ROUTES } from "@sallyport/contracts";
import type { Base, Findings } from "@sallyport/testkit/bad-input";
import { probeRest, probeWire } from "@sallyport/testkit/bad-input";
import { RestClient } from "@sallyport/testkit/rest-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { IoClient } from "./harness.ts";
import { Harness } from "./harness.ts";
import type { RealInit } from "./real-init.ts";
import { startRealInit } from "./real-init.ts";

let harness: Harness;
let init: RealInit;
let io: IoClient;
let token: string;
let folder: string;
beforeAll(async () => {
  harness = await Harness.start();
  init = await startRealInit();
  io = await harness.ready({ number: 1, ...init });
  token = await harness.token(1);
  folder = mkdtempSync(join(tmpdir(), "sallyport-odd-"));
  await io.start("odd", ["sleep", "600"], { stdin: true, pty: { columns: 80, rows: 24 } });
});
afterAll(async () => {
  await io.signal("odd", "SIGKILL");
  io.close();
  await harness[Symbol.asyncDispose]();
  await init[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const METHODS = HTTP_ROUTES.map(({ method }) => method).filter((method) => method.includes("/sallyport.v1.SandboxIO/"));

let serial = 0;
const base: Base = (method) => {
  serial += 1;
  switch (method.split("/").at(-1)) {
    case "StartExec":
    case "RunExec":
      return { execId: `odd-${serial}`, command: { argv: ["true"] } };
    case "ReadOutput":
      return { execId: "odd", stream: 1 };
    case "SignalExec":
      return { execId: "odd", signal: "SIGCONT" };
    case "ResizeExec":
      return { execId: "odd", size: { columns: 80, rows: 24 } };
    case "WriteInput":
    case "WaitExec":
      return { execId: "odd" };
    case "WriteFile":
      return { writeId: `odd-${serial}`, path: join(folder, `f${serial}`), end: true };
    case "ListExecs":
      return {};
    default:
      return { path: join(folder, "nothing") };
  }
};

function judge(findings: Findings, least: number): void {
  console.log(`${findings.cases} cases, ${findings.accepted} of them legal`);
  expect(findings.faults).toEqual([]);
  expect(findings.cases).toBeGreaterThan(least);
  expect(findings.accepted).toBeLessThan(findings.cases / 2);
}

describe("bad input", () => {
  it("is refused by its field over HTTP", { timeout: 300_000 }, async () => {
    judge(await probeRest(METHODS, base, { client: new RestClient(harness.httpPort), token }), 400);
  });

  it("is refused by its field over gRPC, whatever the bytes", { timeout: 300_000 }, async () => {
    judge(await probeWire(METHODS, base, { address: `127.0.0.1:${harness.ioPort}`, token }), 200);
  });
});
