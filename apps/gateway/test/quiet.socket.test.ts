// Strangers come to tunnels as often as they like, and nobody's disk is for them to fill: an edge writes down who came, within
// bounds, and the gateway nothing.
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { text } from "node:stream/consumers";
import type { Logger } from "@sallyport/appkit/logger";
import { openPort } from "@sallyport/dataplane";
import { expect, it } from "vitest";
import { startFakeInit } from "./fake-init.ts";
import { addressOf, Harness, idOf } from "./harness.ts";

it("writes no line of a connection, opened or refused", async () => {
  const told: string[] = [];
  const tell = (_fields: object, message: string) => void told.push(message);
  const logger: Logger = { debug: () => undefined, info: tell, warn: tell, error: tell, child: () => logger };
  await using harness = await Harness.start({}, logger);
  await using init = await startFakeInit((connection) => connection.greet());
  const service = createServer((socket) => void socket.end("hello")).listen(0, "127.0.0.1");
  await once(service, "listening");
  await harness.attach({ number: 1, ...init });
  await harness.open(1);
  harness.ports.set(`${addressOf(1)}:8080`, (service.address() as AddressInfo).port);
  harness.ports.set(`${addressOf(1)}:8081`, 1);
  const before = told.length;
  const open = (port: number) => {
    const target = { instanceId: idOf("in", 1), sandboxId: idOf("sb", 1), port, grantPort: port };
    return openPort(harness.config.openSocket, target);
  };
  const opened = await open(8080);
  opened.end();
  expect(await text(opened)).toBe("hello");
  await expect(open(8081)).rejects.toMatchObject({ code: "NothingListens" });
  service.close();
  await harness.stopGateway(); // so that all is told that is to be told
  expect(told.slice(before)).toEqual([]);
});
