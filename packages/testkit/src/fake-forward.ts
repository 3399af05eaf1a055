// Connections that the fake platform forwards: to real servers, as the gateway does.
import { connect } from "node:net";
import { finished } from "node:stream/promises";
import type { ServerDuplexStream } from "@grpc/grpc-js";
import { Metadata } from "@grpc/grpc-js";
import type { ForwardRequest, ForwardResponse } from "@sallyport/contracts";
import { wireError } from "./fake-failure.ts";

type Call = ServerDuplexStream<ForwardRequest, ForwardResponse>;

/** Carries one connection to its end; `begin` says whether it may. */
export async function carry(
  call: Call,
  servers: ReadonlyMap<number, number>,
  begin: () => Promise<unknown>,
): Promise<void> {
  call.sendMetadata(new Metadata());
  try {
    await begin();
    await carryBytes(call, servers);
    call.end();
  } catch (error) {
    call.emit("error", error instanceof Error && "details" in error ? error : wireError({ code: "Unavailable" }));
  }
}

async function carryBytes(call: Call, servers: ReadonlyMap<number, number>): Promise<void> {
  const messages = call.iterator({ destroyOnReturn: false }) as AsyncIterableIterator<ForwardRequest>;
  const { event } = ((await messages.next()).value as ForwardRequest | undefined) ?? {};
  const port = event?.$case === "port" ? servers.get(event.value) : undefined;
  if (port === undefined) throw wireError({ code: "FailedPrecondition", field: "port" });
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  socket.on("error", () => socket.destroy());
  call.on("cancelled", () => socket.resetAndDestroy());
  call.write({ event: { $case: "opened", value: {} } });
  const upload = async () => {
    for await (const message of messages) {
      if (message.event?.$case === "data") socket.write(message.event.value);
      if (message.event?.$case === "end") socket.end();
    }
  };
  upload().catch(() => socket.destroy());
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    call.write({ event: { $case: "data", value: chunk as Buffer } });
  }
  call.write({ event: { $case: "end", value: {} } });
  await finished(socket);
}
