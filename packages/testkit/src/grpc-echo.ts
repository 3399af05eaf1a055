// A gRPC service with one call of each kind, over text: what a sandbox's server and its client are to each other.
import type {
  ClientDuplexStream,
  ClientReadableStream,
  ClientUnaryCall,
  ClientWritableStream,
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  requestCallback,
} from "@grpc/grpc-js";
import { Client, credentials, Metadata, Server, ServerCredentials } from "@grpc/grpc-js";

const bytes = (text: string) => Buffer.from(text);
const text = (buffer: Buffer) => buffer.toString();
const path = (name: string) => `/test.Echo/${name}`;
const kind = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: path(name),
  requestStream,
  responseStream,
  requestSerialize: bytes,
  responseSerialize: bytes,
  requestDeserialize: text,
  responseDeserialize: text,
});

const SERVICE = {
  Unary: kind("Unary", false, false),
  Collect: kind("Collect", true, false),
  Count: kind("Count", false, true),
  Chat: kind("Chat", true, true),
};

/** What was said before it and the metadata `x-said`; trailers behind it. */
const unary: handleUnaryCall<string, string> = ({ metadata, request }, done) => {
  if (request === "fail") {
    done({ code: 9, details: "not now" });
    return;
  }
  const trailers = new Metadata();
  trailers.set("x-trailer", "behind");
  trailers.set("x-blob-bin", Buffer.from([0, 255, 13, 10]));
  done(null, `${request} ${String(metadata.get("x-said")[0])}`, trailers);
};

/** How much came. */
const collect: handleClientStreamingCall<string, string> = (call, done) => {
  let length = 0;
  call.on("data", (piece: string) => {
    length += piece.length;
  });
  call.on("end", () => done(null, String(length)));
};

/** So many numbers, of 1,000 bytes each. */
const count: handleServerStreamingCall<string, string> = (call) => {
  for (let at = 0; at < Number(call.request); at += 1) call.write(String(at).padStart(1_000));
  call.end();
};

/** Everything in upper case. */
const chat: handleBidiStreamingCall<string, string> = (call) => {
  call.on("data", (piece: string) => call.write(piece.toUpperCase()));
  call.on("end", () => call.end());
};

/** Metadata of a call of `Unary`, which answers with what was said before. */
export function echoMetadata(said?: string): Metadata {
  const metadata = new Metadata();
  if (said !== undefined) metadata.set("x-said", said);
  return metadata;
}

/** The service in clear text on a port of this machine. */
export async function startEcho(): Promise<AsyncDisposable & { readonly port: number }> {
  const server = new Server();
  server.addService(SERVICE, { Unary: unary, Collect: collect, Count: count, Chat: chat });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}

export class EchoClient extends Client {
  /** At an edge of this machine, under a host's name. */
  constructor(port: number, ca: string, host: string) {
    super(`127.0.0.1:${port}`, credentials.createSsl(Buffer.from(ca)), {
      "grpc.ssl_target_name_override": host,
      "grpc.default_authority": `${host}:${port}`,
    });
  }

  unary(said: string, metadata: Metadata, done: requestCallback<string>): ClientUnaryCall {
    return this.makeUnaryRequest(path("Unary"), bytes, text, said, metadata, done);
  }

  collect(done: requestCallback<string>): ClientWritableStream<string> {
    return this.makeClientStreamRequest(path("Collect"), bytes, text, done);
  }

  count(upTo: number): ClientReadableStream<string> {
    return this.makeServerStreamRequest(path("Count"), bytes, text, String(upTo));
  }

  chat(): ClientDuplexStream<string, string> {
    return this.makeBidiStreamRequest(path("Chat"), bytes, text);
  }
}
