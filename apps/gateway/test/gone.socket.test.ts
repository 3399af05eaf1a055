// A sandbox that reads nothing holds no place for a client that is gone.
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import type { Logger } from "@sallyport/appkit/logger";
import { silentLogger } from "@sallyport/appkit/logger";
import { openPort } from "@sallyport/dataplane";
import { expect, it, vi } from "vitest";
import { startFakeInit } from "./fake-init.ts";
import { addressOf, Harness, idOf } from "./harness.ts";

/** Writes for as long as anybody on the way takes it: until it stands still. */
async function fillUp(socket: Socket): Promise<void> {
  let written = 0;
  const write = () => {
    do written += 1;
    while (socket.write(Buffer.alloc(65_536)));
  };
  socket.on("drain", write);
  write();
  let [before, still] = [-1, 0];
  await vi.waitFor(
    () => {
      still = written === before ? still + 1 : 0;
      before = written;
      expect(still).toBe(4);
    },
    { timeout: 20_000, interval: 100 },
  );
}

it("gives the place of a connection back whose edge has closed it, though the sandbox reads nothing", async () => {
  const ended: object[] = [];
  const debug = (fields: object, message: string) => {
    if (message === "connection") ended.push(fields);
  };
  const logger: Logger = { ...silentLogger, debug, child: () => logger };
  await using harness = await Harness.start({}, logger);
  await using init = await startFakeInit((connection) => connection.greet());
  const sockets: Socket[] = [];
  const service = createServer({ pauseOnConnect: true }, (socket) => void sockets.push(socket)).listen(0, "127.0.0.1");
  await once(service, "listening");
  await harness.attach({ number: 1, ...init });
  await harness.open(1);
  harness.ports.set(`${addressOf(1)}:8080`, (service.address() as AddressInfo).port);
  const target = { instanceId: idOf("in", 1), sandboxId: idOf("sb", 1), port: 8080, grantPort: 8080 };
  const edge = (await openPort(harness.config.openSocket, target)) as Socket;
  edge.on("error", () => edge.destroy());
  await fillUp(edge);
  expect(ended).toEqual([]);
  edge.destroy();
  await vi.waitFor(() => expect(ended).toMatchObject([{ instanceId: idOf("in", 1), end: "broken" }]), 10_000);
  for (const socket of sockets) socket.destroy();
  service.close();
});
