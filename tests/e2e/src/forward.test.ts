// Ports of this machine that lead into sandboxes under gVisor: declared nowhere, public nowhere.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { buffer } from "node:stream/consumers";
import type { Client, PortForward, SallyportError } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";
import { tunnelApp } from "@sallyport/testkit/tunnel-app";
import { afterAll, beforeAll, expect, it } from "vitest";
import { newWorkspace } from "./workspace.ts";

let client: Client;
beforeAll(async () => {
  client = (await newWorkspace("forward")).client;
});
afterAll(() => client[Symbol.asyncDispose]());

const dial = ({ host, port }: PortForward) => connect({ host, port, allowHalfOpen: true });

/** What a server answers to all of this, once its half has ended. */
async function ask(forward: PortForward, question: string | Buffer): Promise<Buffer> {
  const socket = dial(forward);
  socket.end(question);
  return buffer(socket);
}

/** A server takes a moment to start, and a forwarded connection does not wait for it. */
async function untilItAnswers(forward: PortForward): Promise<void> {
  await expect.poll(() => ask(forward, "x").then(String, () => ""), { timeout: 20_000, interval: 100 }).not.toBe("");
}

it("leads to any port, of a sandbox that reaches nothing, with many bytes both ways", async () => {
  await using sandbox = await Sandbox.create(tunnelApp("echo:7000", "sum:7001"), { client, blockNetwork: true });
  await using echo = await sandbox.forward(7_000);
  await using sum = await sandbox.forward(7_001);
  await untilItAnswers(echo);
  await untilItAnswers(sum);
  const bytes = randomBytes(50_000_000);
  const digest = createHash("sha256").update(bytes).digest("hex");
  expect((await ask(sum, bytes)).toString()).toBe(`${bytes.length} ${digest}\n`);
  const echoed = await ask(echo, bytes);
  expect(createHash("sha256").update(echoed.subarray(0, bytes.length)).digest("hex")).toBe(digest);
  expect(echoed.subarray(bytes.length).toString()).toBe("bye");
});

it("lets a server speak first, and says why where none listens", async () => {
  await using sandbox = await Sandbox.create(tunnelApp("first:7000"), { client });
  await using first = await sandbox.forward(7_000);
  await untilItAnswers(first);
  const socket = dial(first);
  expect(String((await once(socket, "data"))[0])).toBe("220 sandbox\r\n");
  socket.destroy();
  const errors: SallyportError[] = [];
  await using nothing = await sandbox.forward(7_999, { onError: (error) => errors.push(error) });
  await expect(ask(nothing, "x")).rejects.toMatchObject({ code: "ECONNRESET" });
  expect(errors).toMatchObject([{ code: "FailedPrecondition", field: "port" }]);
});

it("wakes a sandbox, keeps it awake while it is used, and ends with it", async () => {
  await using sandbox = await Sandbox.create(tunnelApp("echo:7000"), { client });
  await using echo = await sandbox.forward(7_000);
  await untilItAnswers(echo);
  await sandbox.sleep();
  expect((await ask(echo, "awake")).toString()).toBe("awakebye");
  const socket = dial(echo);
  socket.write("x");
  await once(socket, "data");
  const cut = once(socket.resume(), "error");
  await sandbox.terminate();
  expect(await cut).toMatchObject([{ code: "ECONNRESET" }]);
});
