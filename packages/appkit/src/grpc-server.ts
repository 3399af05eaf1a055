// A gRPC listener: TCP, a Unix socket of a given mode, or sockets that somebody else accepts. Health on every one.
import { chmod, rm } from "node:fs/promises";
import type { Server as NetServer, Socket } from "node:net";
import type { ServiceDefinition } from "@grpc/grpc-js";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { DESCRIPTOR_SET_BASE64 } from "@sallyport/contracts/grpc";
import { HealthImplementation } from "grpc-health-check";
import type { CallPlaces } from "./call-places.ts";
import type { Logger } from "./logger.ts";
import type { Authenticate } from "./principals.ts";
import type { BoundService } from "./service.ts";

/** Where to listen. */
export type GrpcListen =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string; readonly mode: number }
  | { readonly kind: "accepted"; readonly listener: NetServer };

export interface GrpcServerOptions {
  readonly listen: GrpcListen;
  readonly services: readonly BoundService[];
  readonly authenticate: Authenticate;
  readonly logger: Logger;
  /** Where calls take a place; unset, they are not counted. */
  readonly places?: CallPlaces;
  /** The most bytes of one message. 1 MiB when unset. */
  readonly maxMessageBytes?: number;
  /** Whether callers may ask what is served (grpc.reflection.v1). */
  readonly reflection?: boolean;
  /** How long calls in flight may take to end when the server is disposed of. 2,000 ms when unset. */
  readonly drainMs?: number;
}

/** A running listener. Disposal stops taking calls, lets those in flight end within `drainMs`, then cuts them. */
export interface GrpcServer extends AsyncDisposable {
  /** The TCP port, where there is one. */
  readonly port: number | undefined;
  /** grpc.health.v1: serving from the start; set false to tell callers to go elsewhere. */
  setServing(serving: boolean): void;
}

/** Starts listening. Rejects when the address cannot be had. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  const maxBytes = options.maxMessageBytes ?? 1024 * 1024;
  const server = new Server({
    "grpc.max_receive_message_length": maxBytes,
    "grpc.max_send_message_length": maxBytes,
    "grpc.keepalive_time_ms": 30_000,
    "grpc.max_concurrent_streams": 1_000,
  });
  const health = new HealthImplementation({ "": "SERVING" });
  health.addToServer(server);
  if (options.reflection === true) reflection().addToServer(server);
  const places = options.places === undefined ? [] : [options.places];
  for (const service of options.services) {
    server.addService(
      service.definition as unknown as ServiceDefinition,
      service.bind(options.authenticate, options.logger, places),
    );
  }
  const stopListening = await listen(server, options.listen);
  const drainMs = options.drainMs ?? 2_000;
  let stopped: Promise<void> | undefined;
  return {
    port: stopListening.port,
    setServing: (serving) => health.setStatus("", serving ? "SERVING" : "NOT_SERVING"),
    [Symbol.asyncDispose]() {
      stopped ??= stop(server, stopListening.close, drainMs);
      return stopped;
    },
  };
}

async function listen(server: Server, where: GrpcListen): Promise<{ port?: number; close: () => Promise<void> }> {
  const insecure = ServerCredentials.createInsecure();
  switch (where.kind) {
    case "tcp": {
      const host = where.host.includes(":") ? `[${where.host}]` : where.host;
      return { port: await bind(server, `${host}:${where.port}`), close: async () => {} };
    }
    case "unix": {
      await rm(where.path, { force: true }); // a killed predecessor leaves its socket file behind
      await bind(server, `unix:${where.path}`);
      await chmod(where.path, where.mode); // until here the directory's mode keeps others out
      return { close: () => rm(where.path, { force: true }) };
    }
    case "accepted": {
      const injector = server.createConnectionInjector(insecure);
      const onConnection = (socket: Socket) => injector.injectConnection(socket);
      where.listener.on("connection", onConnection);
      const close = async () => {
        where.listener.off("connection", onConnection);
        where.listener.close();
        injector.drain(1_000);
      };
      return { close };
    }
  }
}

function bind(server: Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(new Error(`cannot listen at ${address}`, { cause: error }));
    });
  });
}

async function stop(server: Server, closeListener: () => Promise<void>, drainMs: number): Promise<void> {
  await closeListener();
  await new Promise<void>((resolve) => {
    const cut = setTimeout(() => server.forceShutdown(), drainMs);
    server.tryShutdown(() => {
      clearTimeout(cut);
      resolve();
    });
  });
}

function reflection(): ReflectionService {
  return new ReflectionService(loadFileDescriptorSetFromBuffer(Buffer.from(DESCRIPTOR_SET_BASE64, "base64")));
}
