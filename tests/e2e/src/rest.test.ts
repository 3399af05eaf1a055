// REST as a program without an SDK meets it: Debian's Python with requests, from a create to the end of the sandbox.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, inject, it } from "vitest";
import { newWorkspace } from "./workspace.ts";

const PROGRAM = fileURLToPath(new URL("rest_client.py", import.meta.url));

it("leads a sandbox through its life from Python", async () => {
  const { token } = await newWorkspace("python");
  const env = { PATH: "/usr/bin:/bin", SALLYPORT_REST_URL: inject("restUrl"), SALLYPORT_TOKEN: token };
  const { stdout } = await promisify(execFile)("/usr/bin/python3", [PROGRAM], { env, timeout: 55_000 });
  const { events, ...seen } = JSON.parse(stdout) as { events: string[] };
  expect(seen).toEqual({
    state: "SANDBOX_STATE_RUNNING",
    listed: [true],
    exitCode: 3,
    output: "hello from Linux\n",
    outputAfter6: "from Linux\n",
    errors: "to stderr\n",
    sent: [200, true],
    counted: true,
    same: true,
    file: "FILE_TYPE_FILE",
    problem: {
      status: 400,
      type: "application/problem+json",
      named: true,
      code: "InvalidArgument",
      field: "cpu_millis",
      retryable: false,
    },
    ended: ["SANDBOX_STATE_ENDED", "END_REASON_TERMINATED"],
    gone: [410, "SandboxEnded"],
  });
  expect(events).toEqual(expect.arrayContaining(["created", "placed", "started", "stop_requested", "ended"]));
});
