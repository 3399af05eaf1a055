// Law 20 for real: bytes into a sandbox's port through the gateway's CONNECT door, and what the door refuses.
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { INIT_PORT } from "@sallyport/contracts";
import { openPort } from "@sallyport/dataplane";
import { Sandbox } from "@sallyport/sdk";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { instanceOf, newWorkspace } from "./workspace.ts";

const door = join(inject("home"), "run/gateway/open/open.sock");
let client: Awaited<ReturnType<typeof newWorkspace>>["client"];
beforeAll(async () => {
  client = (await newWorkspace("open")).client;
});

describe("the gateway's door", () => {
  it("leads to a port that the grant names, whatever the sandbox may reach itself", async () => {
    const server = ["python3", "-m", "http.server", "--bind", "0.0.0.0", "8080"];
    await using sandbox = await Sandbox.create(server, { client, blockNetwork: true });
    const target = { sandboxId: sandbox.id, instanceId: await instanceOf(sandbox.id), port: 8080, grantPort: 8080 };
    const attempt = async () => {
      const socket = await openPort(door, target, { timeoutMs: 5_000 });
      socket.end("GET / HTTP/1.0\r\n\r\n");
      return await text(socket);
    };
    await expect
      .poll(() => attempt().catch((error: unknown) => String(error)), { timeout: 20_000 })
      .toContain("200 OK");
  });

  it("stays shut for other ports, for init, for nothing that listens and for what is not there", async () => {
    await using sandbox = await Sandbox.create({ client });
    const here = { sandboxId: sandbox.id, instanceId: await instanceOf(sandbox.id) };
    const open = (target: Parameters<typeof openPort>[1]) => openPort(door, target, { timeoutMs: 10_000 });
    await expect(open({ ...here, port: 22, grantPort: 8080 })).rejects.toMatchObject({ code: "NotGranted" });
    await expect(open({ ...here, port: INIT_PORT, grantPort: INIT_PORT })).rejects.toMatchObject({
      code: "NotGranted",
    });
    await expect(open({ ...here, port: 8080, grantPort: 8080 })).rejects.toMatchObject({ code: "NothingListens" });
    const other = { sandboxId: "sb-01hzzzzzzzzzzzzzzzzzzzzzzz", instanceId: here.instanceId };
    await expect(open({ ...other, port: 8080, grantPort: 8080 })).rejects.toMatchObject({ code: "NotFound" });
    await sandbox.terminate();
    await expect(open({ ...here, port: 8080, grantPort: 8080 })).rejects.toMatchObject({ code: "Ended" });
  });
});
