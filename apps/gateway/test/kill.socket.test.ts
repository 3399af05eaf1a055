// kill -9 of the gateway in the middle of everything: nothing is lost, nothing comes twice, deadlines and exit codes hold.
import { createHash } from "node:crypto";
import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { credentials } from "@grpc/grpc-js";
import { EndReason, OutputStream } from "@sallyport/contracts";
import { callUnary, GatewayControlServiceClient } from "@sallyport/contracts/grpc";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { GatewayConfig } from "../src/config.ts";
import { FakeApi, makeKey, signToken } from "./fake-api.ts";
import { addressOf, attachInstance, eventually, idOf, IoClient, makeConfig, MIB } from "./harness.ts";
import type { RealInit } from "./real-init.ts";
import { startRealInit } from "./real-init.ts";

const PROGRAM = fileURLToPath(new URL("gateway-process.ts", import.meta.url));

let config: GatewayConfig;
let api: FakeApi;
let init: RealInit;
let io: IoClient;
let ioPort: number;
let gateway: ChildProcess;
let control: GatewayControlServiceClient;

beforeEach(async () => {
  config = await makeConfig();
  const key = await makeKey("k1");
  api = new FakeApi(config.apiSocket, [key]);
  await api.start();
  init = await startRealInit();
  control = new GatewayControlServiceClient(`unix:${config.workerSocket}`, credentials.createInsecure());
  ioPort = 0;
  await forkGateway();
  io = new IoClient(ioPort, await signToken(key, { sandboxId: idOf("sb", 1), instanceId: idOf("in", 1) }));
  await makeReady();
});

afterEach(async () => {
  io.close();
  control.close();
  await killGateway();
  await init[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
  await rm(config.stateDirectory, { recursive: true, force: true });
});

/** As the supervisor does: makes the listening socket and hands it over. */
async function forkGateway(): Promise<void> {
  const listener = createServer((early) => early.destroy());
  listener.listen(ioPort, "127.0.0.1");
  await once(listener, "listening");
  ioPort = (listener.address() as AddressInfo).port;
  const ports = JSON.stringify([[addressOf(1), init.port]]);
  const env = { ...process.env, TEST_CONFIG: JSON.stringify(config), TEST_PORTS: ports };
  gateway = fork(PROGRAM, { env, execArgv: ["--conditions=@sallyport/source"], stdio: "inherit" });
  gateway.send({ type: "listener", name: "io" }, listener, (error) => {
    listener.close();
    expect(error).toBeNull();
  });
  const exited = once(gateway, "exit").then(() => ["exited"]);
  const [message] = (await Promise.race([once(gateway, "message"), exited])) as unknown[];
  expect(message).toEqual({ type: "ready" });
}

/** What the worker does after a restart of the gateway. */
async function makeReady(): Promise<void> {
  const attached = async () => await succeeds(attachInstance(control, 1, init.secret, 5_000));
  await eventually("the attachment", attached, 15_000);
  const base = { instanceId: idOf("in", 1), env: { PATH: "/usr/bin:/bin" }, workdir: "/" };
  await callUnary(control, control.openInstance, base);
  await eventually("the keys", async () => await succeeds(io.start("ready", ["true"])), 15_000);
}

async function startAgain(): Promise<void> {
  await forkGateway();
  await makeReady();
}

async function killGateway(): Promise<void> {
  if (gateway.exitCode !== null || gateway.signalCode !== null) return;
  const exited = once(gateway, "exit");
  gateway.kill("SIGKILL");
  await exited;
}

async function succeeds(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch {
    return false; // asked again until the deadline
  }
}

/** Reads as the SDK does: from the offset reached, again and again, until the end. */
async function readThrough(
  execId: string,
  take: (chunk: Buffer) => void,
  stream: OutputStream = OutputStream.STDOUT,
): Promise<number> {
  let offset = 0;
  let breaks = 0;
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    try {
      for await (const { event } of io.read(execId, { offset, stream })) {
        if (event?.$case === "gap") throw new TypeError(`a gap up to ${event.value.offset}`);
        if (event?.$case === "end") {
          expect(event.value.offset).toBe(offset);
          return breaks;
        }
        if (event?.$case !== "chunk") continue;
        expect(event.value.offset).toBe(offset);
        take(event.value.data);
        offset += event.value.data.length;
      }
    } catch (error) {
      if (error instanceof TypeError) throw error;
      breaks += 1;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  throw new Error("no end in time");
}

describe("kill -9 of the gateway", () => {
  it("loses and repeats no line of a counter, and knows the exit code", { timeout: 60_000 }, async () => {
    const script = "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); [ $((i % 50)) = 0 ] && sleep 0.02; done; exit 9";
    await io.start("counter", ["sh", "-c", script]);
    let text = "";
    const reading = readThrough("counter", (chunk) => {
      text += chunk.toString();
    });
    for (let round = 1; round <= 3; round += 1) {
      await eventually("progress", () => text.length > round * 1_500);
      await killGateway();
      await startAgain();
    }
    expect(await reading).toBeGreaterThan(0);
    expect(text).toBe(Array.from({ length: 3_000 }, (_, index) => `${index}\n`).join(""));
    expect(await io.wait("counter")).toEqual({ reason: EndReason.EXITED, exitCode: 9 });
  });

  it("brings 64 MiB through three kills by checksum", { timeout: 60_000 }, async () => {
    const bytes = 64 * MIB;
    // The same bytes on both outputs: what differs was lost or came twice.
    const script = `exec 3>&2; head -c ${bytes} /dev/urandom | tee /dev/fd/3`;
    await io.start("flood", ["sh", "-c", script]);
    const hash = createHash("sha256");
    let total = 0;
    const reading = readThrough("flood", (chunk) => {
      hash.update(chunk);
      total += chunk.length;
    });
    const other = createHash("sha256");
    const readingOther = readThrough("flood", (chunk) => other.update(chunk), OutputStream.STDERR);
    for (let round = 1; round <= 3; round += 1) {
      await eventually("progress", () => total > (round * bytes) / 5, 20_000);
      console.log(Date.now() % 1e6, "progress", round, total);
      await killGateway();
      await startAgain();
      console.log(Date.now() % 1e6, "again", total);
    }
    await Promise.all([reading, readingOther]);
    expect(total).toBe(bytes);
    expect(hash.digest("hex")).toBe(other.digest("hex"));
  });

  it("holds a deadline that passes meanwhile", async () => {
    await io.start("late", ["sleep", "100"], { lifetimeMs: 400 });
    await killGateway();
    await startAgain();
    expect(await io.wait("late")).toEqual({ reason: EndReason.TIMEOUT, exitCode: 124 });
  });

  it("goes on with input where init stands", async () => {
    await io.start("cat", ["cat"], { stdin: true });
    await io.write("cat", 0, "before ");
    await killGateway();
    await startAgain();
    expect(await io.write("cat", 0, "before after", true)).toMatchObject({ acceptedOffset: 12 });
    expect(await io.text("cat")).toBe("before after");
  });

  it("keeps what a detached instance wrote", async () => {
    await io.start("said", ["echo", "last words"]);
    await io.start("runs", ["sleep", "100"]);
    await io.wait("said");
    await callUnary(control, control.detachInstance, { instanceId: idOf("in", 1) });
    await killGateway();
    await forkGateway();
    await eventually("the output", async () => await succeeds(io.text("said")));
    expect(await io.text("said")).toBe("last words\n");
    expect(await io.wait("runs")).toEqual({ reason: EndReason.TERMINATED, exitCode: 137 });
  });
});
