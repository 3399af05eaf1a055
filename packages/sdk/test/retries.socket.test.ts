// Repeated where that is safe, and nowhere else: every call through broken connections and lost answers, before and
// after its work was done.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  AdminServiceService,
  AppServiceService,
  ImageServiceService,
  SandboxIOService,
  SandboxServiceService,
  WorkspaceServiceService,
} from "@sallyport/contracts/grpc";
import type { FakeFailure } from "@sallyport/testkit/fake-failure";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Scope } from "../src/scope.ts";
import { readFailure } from "../src/translate.ts";
import type { World } from "./calls.ts";
import { callsOf, endWorld, makeWorld, ONCE, REPEATED } from "./calls.ts";

const FAULTS: readonly { readonly what: string; readonly fault: FakeFailure }[] = [
  { what: "a cut before the work", fault: { code: "Unavailable", instead: "cut" } },
  { what: "a cut after the work", fault: { code: "Unavailable", instead: "cut", after: true } },
  // The hint tells a create that asking again is of use.
  { what: "a refusal", fault: { code: "Unavailable", retryAfterMs: 1 } },
  { what: "a lost answer", fault: { code: "Unavailable", retryAfterMs: 1, after: true } },
];

/** Methods that the fake platform does not have: they are met where a real file system or image store stands behind them. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  "listFiles",
  "statFile",
  "makeDirectory",
  "createImage",
  "putBuildContext",
  "getImage",
  "listImages",
  "watchImage",
  "cancelImage",
  "deleteImage",
  "setRegistryCredential",
  "listRegistryCredentials",
  "deleteRegistryCredential",
  // A connection, not a call: src/forward.socket.test.ts opens it through outages.
  "forward",
]);

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => endWorld(world));

describe.each(REPEATED)("$name", ({ rpc, call, prepare, effect }) => {
  it.each(FAULTS)("is made again after $what, and done once", async ({ fault }) => {
    prepare?.(world);
    world.platform.fail(rpc, fault);
    await call(world, {});
    expect(callsOf(world, rpc)).toBe(2);
    if (effect !== undefined) expect(effect.of(world)).toEqual(effect.is);
  });
});

describe.each(ONCE)("$name", ({ name, rpc, call }) => {
  it.each(FAULTS)("is not made again after $what", async ({ fault }) => {
    world.platform.fail(rpc, fault);
    await expect(call(world, {})).rejects.toMatchObject({ code: "Unavailable" });
    expect(callsOf(world, rpc)).toBe(1);
    expect(world.held.signals.map((signal) => `Process.kill("${signal}")`)).toEqual(fault.after === true ? [name] : []);
  });
});

it("a signal waits for a gateway that is away, and is then sent once", async () => {
  world.platform.killGateway();
  const sent = world.process.kill("SIGUSR1");
  await world.platform.startGateway();
  await sent;
  expect(world.held.signals).toEqual(["SIGUSR1"]);
});

it.each([
  ["Request message serialization failure: x", "InvalidArgument"],
  ["Response message parsing error: x", "Internal"],
])("a message that has no form is no outage: %s", (details, code) => {
  const thrown = Object.assign(new Error(details), { code: 13, details });
  const { broken, error } = readFailure(thrown, new Scope("a test", {}));
  expect({ broken, error }).toMatchObject({ broken: false, error: { code, cause: thrown } });
});

it("a number of an event is checked before anything is asked", async () => {
  const events = world.sandbox.events({ afterSeq: 0.5 });
  await expect(Array.fromAsync(events)).rejects.toMatchObject({ code: "InvalidArgument", field: "afterSeq" });
  expect(world.platform.calls).toEqual([]);
});

describe("the table", () => {
  it("has every method that the SDK calls", () => {
    const folder = fileURLToPath(new URL("../src/", import.meta.url));
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
    const sources = files.filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"));
    const text = sources.map((file) => readFileSync(`${folder}${file}`, "utf8")).join("\n");
    const services = [
      AdminServiceService,
      AppServiceService,
      ImageServiceService,
      SandboxIOService,
      SandboxServiceService,
      WorkspaceServiceService,
    ];
    const called = services
      .flatMap((service) => Object.keys(service))
      .filter((method) => new RegExp(`\\.${method}\\b|"${method}"`).test(text));
    const known = new Set([...REPEATED, ...ONCE].map(({ rpc }) => rpc));
    expect(called.filter((method) => !known.has(method) && !ELSEWHERE.has(method))).toEqual([]);
    expect([...known].filter((method) => !called.includes(method))).toEqual([]);
  });
});
