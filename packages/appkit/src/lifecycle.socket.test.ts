// A real child process in runMain, spoken to as the supervisor does.
import type { ChildProcess } from "node:child_process";
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const LIFECYCLE = fileURLToPath(new URL("./lifecycle.ts", import.meta.url));
let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "sp-"));
  writeFileSync(
    join(directory, "app.mjs"),
    `import { runMain } from ${JSON.stringify(LIFECYCLE)};
await runMain({ name: "app", async start({ listener }) {
  const server = await listener("io");
  if (process.argv.includes("late")) {
    const telling = setInterval(() => server.getConnections((_, count) => process.send({ type: "has " + count })), 20);
    await new Promise((resolve) => process.once("SIGUSR2", resolve));
    clearInterval(telling);
  }
  server.on("connection", (socket) => socket.end("hello"));
  return {
    async down() { process.send({ type: "downed-for-test" }); },
    async [Symbol.asyncDispose]() { await new Promise((resolve) => server.close(resolve)); },
  };
} });`,
  );
});
afterAll(() => rmSync(directory, { recursive: true }));

async function startChild(...args: string[]): Promise<{ child: ChildProcess; port: number; messages: unknown[] }> {
  const child = fork(join(directory, "app.mjs"), args, {
    execArgv: ["--conditions=@sallyport/source"],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const messages: unknown[] = [];
  const ready = new Promise<void>((resolve) => {
    child.on("message", (message: { type: string }) => {
      messages.push(message.type);
      if (message.type === "ready") resolve();
    });
  });
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const handedOver = once(server, "close");
  child.send({ type: "listener", name: "io" }, server, () => server.close());
  await (args.includes("late") ? handedOver : ready);
  return { child, port, messages };
}

async function greeting(port: number): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk.toString();
  });
  await once(socket, "close");
  return text;
}

describe("runMain", () => {
  it("serves a handed-over socket and stops on SIGTERM with code 0", async () => {
    const { child, port } = await startChild();
    expect(await greeting(port)).toBe("hello");
    child.kill("SIGTERM");
    expect((await once(child, "exit"))[0]).toBe(0);
  });

  it("keeps who comes before it listens", async () => {
    const { child, port, messages } = await startChild("late");
    const early = greeting(port);
    await expect.poll(() => messages).toContain("has 1");
    child.kill("SIGUSR2");
    expect(await early).toBe("hello");
    child.kill("SIGTERM");
    expect((await once(child, "exit"))[0]).toBe(0);
  });

  it("stops when its supervisor is gone", async () => {
    const { child } = await startChild();
    child.disconnect();
    expect((await once(child, "exit"))[0]).toBe(0);
  });

  it("ends what outlives it on down, and says so", async () => {
    const { child, messages } = await startChild();
    child.send({ type: "down" });
    expect((await once(child, "exit"))[0]).toBe(0);
    expect(messages).toEqual(["ready", "downed-for-test", "downed"]);
  });
});
