import { mkdtemp, rm, stat } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentials, Metadata } from "@grpc/grpc-js";
import { AUTHORIZATION_KEY } from "@sallyport/contracts";
import {
  AppServiceClient,
  AppServiceService,
  callServerStream,
  callUnary,
  GatewayServiceClient,
  GatewayServiceService,
  SandboxIOClient,
  SandboxIOService,
} from "@sallyport/contracts/grpc";
import { afterEach, describe, expect, it } from "vitest";
import { CallPlaces } from "./call-places.ts";
import { AppError, fromGrpcError, invalidArgument } from "./errors.ts";
import type { GrpcListen } from "./grpc-server.ts";
import { startGrpcServer } from "./grpc-server.ts";
import { silentLogger } from "./logger.ts";
import type { Authenticate } from "./principals.ts";
import { everyCallerIs } from "./principals.ts";
import { bindService } from "./service.ts";

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

const byToken: Authenticate = (metadata) => {
  const good = metadata.get(AUTHORIZATION_KEY)[0] === "Bearer good";
  return Promise.resolve(good ? { kind: "workspace", workspaceId: "ws-1", apiTokenId: "at-1" } : undefined);
};

let streamed = 0;
let streamEnded: () => void = () => {};
const apps = bindService(AppServiceService, {
  lookupApp: async ({ name }, { principal, signal }) => {
    if (name === "bad") throw invalidArgument("name", "is bad", "choose another");
    if (name === "bug") throw new Error("secret detail");
    if (name === "slow") await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error())));
    return { app: { id: principal.kind === "workspace" ? principal.workspaceId : "", name } };
  },
});
const gateways = bindService(GatewayServiceService, {
  async *watchKeys() {
    try {
      for (;;) {
        streamed += 1;
        yield { platformId: "p".repeat(100_000), keys: [] };
      }
    } finally {
      streamEnded();
    }
  },
});

async function serve(authenticate: Authenticate, listen?: GrpcListen, places?: CallPlaces) {
  const server = await startGrpcServer({
    listen: listen ?? { kind: "tcp", host: "127.0.0.1", port: 0 },
    services: [apps, gateways],
    authenticate,
    logger: silentLogger,
    reflection: true,
    drainMs: 200,
    ...(places === undefined ? {} : { places }),
  });
  stack.use(server);
  return server;
}

function client(address: string): AppServiceClient {
  return stack.adopt(new AppServiceClient(address, credentials.createInsecure()), async (one) => one.close());
}

function good(): Metadata {
  const metadata = new Metadata();
  metadata.set(AUTHORIZATION_KEY, "Bearer good");
  return metadata;
}

async function failure(promise: Promise<unknown>): Promise<AppError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => fromGrpcError(reason),
  );
  if (!(error instanceof AppError)) throw new Error(`not refused: ${String(error)}`);
  return error;
}

describe("a bound service", () => {
  it("answers a proven caller and tells the handler who it is", async () => {
    const { port } = await serve(byToken);
    const stub = client(`127.0.0.1:${port}`);
    const answer = await callUnary(stub, stub.lookupApp, { name: "x", createIfMissing: false }, { metadata: good() });
    expect(answer.app).toEqual({ id: "ws-1", name: "x" });
  });

  it("refuses who is not proven, and who is proven but not named by the method", async () => {
    const { port } = await serve(byToken);
    const stub = client(`127.0.0.1:${port}`);
    const anonymous = await failure(callUnary(stub, stub.lookupApp, { name: "x", createIfMissing: false }));
    expect(anonymous.code).toBe("Unauthenticated");
    const operators = await serve(everyCallerIs({ kind: "operator" }));
    const other = client(`127.0.0.1:${operators.port}`);
    const named = await failure(callUnary(other, other.lookupApp, { name: "x", createIfMissing: false }));
    expect(named.code).toBe("PermissionDenied");
  });

  it("carries code, field and hint of a refusal, and nothing of a bug", async () => {
    const { port } = await serve(byToken);
    const stub = client(`127.0.0.1:${port}`);
    const options = { metadata: good() };
    const bad = await failure(callUnary(stub, stub.lookupApp, { name: "bad", createIfMissing: false }, options));
    expect(bad).toMatchObject({ code: "InvalidArgument", field: "name", hint: "choose another" });
    const bug = await failure(callUnary(stub, stub.lookupApp, { name: "bug", createIfMissing: false }, options));
    expect(bug.code).toBe("Internal");
    expect(bug.message).not.toContain("secret");
  });

  it("aborts the handler's signal when the caller goes away", async () => {
    const { port } = await serve(byToken);
    const stub = client(`127.0.0.1:${port}`);
    const late = failure(
      callUnary(stub, stub.lookupApp, { name: "slow", createIfMissing: false }, { metadata: good(), timeoutMs: 100 }),
    );
    expect((await late).code).toBe("DeadlineExceeded");
  });

  it("takes a place for as long as the call lasts", async () => {
    const { port } = await serve(byToken, undefined, new CallPlaces(1));
    const stub = client(`127.0.0.1:${port}`);
    const options = { metadata: good() };
    const quick = () => callUnary(stub, stub.lookupApp, { name: "x", createIfMissing: false }, options);
    const leave = new AbortController();
    const slow = { name: "slow", createIfMissing: false };
    const waiting = callUnary(stub, stub.lookupApp, slow, { ...options, signal: leave.signal });
    const left = expect(waiting).rejects.toThrow();
    // Refused as soon as the other call has come in, and until then in time itself.
    await expect
      .poll(() =>
        quick().then(
          () => "",
          ({ code }: { code: number }) => code,
        ),
      )
      .toBe(8);
    leave.abort();
    await left;
    await expect
      .poll(() =>
        quick().then(
          () => "answered",
          () => "",
        ),
      )
      .toBe("answered");
  });

  it("paces a stream by its reader, and ends the handler when the reader leaves", async () => {
    const { port } = await serve(everyCallerIs({ kind: "gateway" }));
    const stub = new GatewayServiceClient(`127.0.0.1:${port}`, credentials.createInsecure());
    stack.defer(async () => stub.close());
    const ended = new Promise<void>((resolve) => {
      streamEnded = resolve;
    });
    let read = 0;
    for await (const _ of callServerStream(stub, stub.watchKeys, {})) {
      read += 1;
      if (read === 20) break;
    }
    await ended;
    expect(streamed).toBeLessThan(20 + 40); // what the windows of HTTP/2 hold, and not without end
  });
});

describe("a method that streams both ways", () => {
  let taken = 0;
  let seen: Promise<string>;
  let tell: (how: string) => void;
  /** Answers each message with its like; at port 9 it takes none, at port 0 it refuses. */
  const echo = bindService(
    { forward: SandboxIOService.forward },
    {
      async *forward(requests, { principal, signal }) {
        signal.addEventListener("abort", () => tell(`aborted for ${principal.kind}`));
        for await (const { event } of requests) {
          taken += 1;
          if (event?.$case === "port" && event.value === 0) throw invalidArgument("port", "is bad");
          if (event?.$case === "port" && event.value === 9) await new Promise(() => {});
          if (event?.$case === "data") yield { event };
        }
        yield { event: { $case: "end", value: {} } };
      },
    },
  );

  async function open(authenticate: Authenticate = byGrant, places?: CallPlaces) {
    taken = 0;
    seen = new Promise((resolve) => {
      tell = resolve;
    });
    const server = await startGrpcServer({
      listen: { kind: "tcp", host: "127.0.0.1", port: 0 },
      services: [echo],
      authenticate,
      logger: silentLogger,
      drainMs: 200,
      ...(places === undefined ? {} : { places }),
    });
    stack.use(server);
    const stub = new SandboxIOClient(`127.0.0.1:${server.port}`, credentials.createInsecure());
    stack.defer(async () => stub.close());
    return stub;
  }

  const ids = { workspaceId: "ws-1", sandboxId: "sb-1", instanceId: "in-1" };
  const byGrant: Authenticate = async () => ({ kind: "io_grant", ...ids });

  it("answers as it is asked, and ends as its caller ends", async () => {
    const call = (await open()).forward();
    const answers = call.iterator();
    for (const text of ["a", "b"]) {
      call.write({ event: { $case: "data", value: Buffer.from(text) } });
      expect((await answers.next()).value).toEqual({ event: { $case: "data", value: Buffer.from(text) } });
    }
    call.end();
    expect((await answers.next()).value).toEqual({ event: { $case: "end", value: {} } });
    expect((await answers.next()).done).toBe(true);
  });

  it("refuses strangers before it takes a message, and counts calls as all are counted", async () => {
    const stub = await open(byToken);
    expect((await failure(stub.forward().toArray())).code).toBe("Unauthenticated");
    const others = await open(everyCallerIs({ kind: "operator" }));
    expect((await failure(others.forward().toArray())).code).toBe("PermissionDenied");
    expect(taken).toBe(0);
    const counted = await open(byGrant, new CallPlaces(1));
    const first = counted.forward();
    first.write({ event: { $case: "data", value: Buffer.from("x") } });
    const answers = first.iterator();
    await answers.next();
    expect((await failure(counted.forward().toArray())).code).toBe("ResourceExhausted");
    first.end();
    while ((await answers.next()).done !== true);
    const second = counted.forward();
    second.end();
    expect(await second.toArray()).toHaveLength(1);
  });

  it("carries the refusal of its handler, and of a message that cannot be read", async () => {
    const stub = await open();
    const bad = stub.forward();
    bad.write({ event: { $case: "port", value: 0 } });
    expect(await failure(bad.toArray())).toMatchObject({ code: "InvalidArgument", field: "port" });
    const { path, responseDeserialize } = SandboxIOService.forward;
    const garbled = stub.makeBidiStreamRequest(path, (bytes: Buffer) => bytes, responseDeserialize);
    garbled.write(Buffer.from([0xff, 0xff, 0xff]));
    expect((await failure(garbled.toArray())).code).toBe("InvalidArgument");
  });

  it("takes no more than the handler does, and tells it when the caller goes away", async () => {
    const call = (await open()).forward();
    call.on("error", () => {});
    call.write({ event: { $case: "port", value: 9 } });
    const piece = Buffer.alloc(100_000);
    let written = 0;
    while (written < 100 && call.write({ event: { $case: "data", value: piece } })) written += 1;
    expect(written).toBeLessThan(100);
    await expect.poll(() => taken).toBe(1);
    call.cancel();
    expect(await seen).toBe("aborted for io_grant");
  });
});

describe("a listener", () => {
  it("gives its Unix socket the mode that is asked for, and takes a dead one over", async () => {
    const directory = await mkdtemp(join(tmpdir(), "sp-"));
    stack.defer(() => rm(directory, { recursive: true }));
    const path = join(directory, "x.sock");
    const first = await serve(byToken, { kind: "unix", path, mode: 0o600 });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await first[Symbol.asyncDispose]();
    await serve(byToken, { kind: "unix", path, mode: 0o660 });
    expect((await stat(path)).mode & 0o777).toBe(0o660);
    const stub = client(`unix:${path}`);
    const answer = await callUnary(stub, stub.lookupApp, { name: "x", createIfMissing: false }, { metadata: good() });
    expect(answer.app?.name).toBe("x");
  });

  it("serves sockets that another listener accepts", async () => {
    const listener = createServer();
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    await serve(byToken, { kind: "accepted", listener });
    const stub = client(`127.0.0.1:${(listener.address() as AddressInfo).port}`);
    const answer = await callUnary(stub, stub.lookupApp, { name: "x", createIfMissing: false }, { metadata: good() });
    expect(answer.app?.name).toBe("x");
  });
});
