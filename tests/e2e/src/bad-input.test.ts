// Every field of every call of SandboxIO, given by a program with types what it was not made for: through the SDK, with a
// gateway and a sandbox behind it. The api's calls are tried the same way beside the api.
import { METHOD_PRINCIPALS } from "@sallyport/contracts";
import { Sandbox } from "@sallyport/sdk";
import { probeSdk } from "@sallyport/testkit/bad-input";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ioCalls } from "./io-calls.ts";
import { newWorkspace } from "./workspace.ts";

let sandbox: Sandbox;
let processId: string;
beforeAll(async () => {
  const { client } = await newWorkspace("bad-input");
  sandbox = await Sandbox.create({ client, diskMiB: 64 });
  processId = (await sandbox.exec(["sh", "-c", "exec cat > /dev/null"])).id;
});
afterAll(() => sandbox.terminate());

describe("bad input", () => {
  it("is refused by its option through the SDK", { timeout: 300_000 }, async () => {
    const findings = await probeSdk(ioCalls({ sandbox, processId }));
    console.log(`${findings.cases} cases, ${findings.accepted} of them legal`);
    expect(findings.faults).toEqual([]);
    expect(findings.cases).toBeGreaterThan(400);
    expect(findings.accepted).toBeLessThan(findings.cases / 2);
  });

  it("is tried at every method of SandboxIO", () => {
    // A forwarded connection is two streams, not a call: its one field, the port, is tried beside SDK and gateway.
    const calls = ioCalls({ sandbox, processId }).map(({ method }) => method);
    const tried = new Set([...calls, "/sallyport.v1.SandboxIO/Forward"]);
    const theirs = Object.keys(METHOD_PRINCIPALS).filter((method) => method.includes("/sallyport.v1.SandboxIO/"));
    expect(theirs.filter((method) => !tried.has(method))).toEqual([]);
  });

  it("leaves the sandbox as it was", async () => {
    expect(await sandbox.run(["echo", "well"], { check: true })).toMatchObject({ stdout: "well\n" });
    expect(await sandbox.process(processId).poll()).toBeUndefined();
  });
});
