// Long bodies through the whole proxy over TLS, past readers that rest: what waits to be encrypted or written is still there,
// byte for byte, when they go on, though the memory of reads is given back as soon as it may be. No two stretches of the
// body are the same, so that memory which is used again shows.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { createServer } from "node:http";
import { connect } from "node:http2";
import { request } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { generateSigningKey, issueConnectToken, SigningKey } from "@sallyport/connect-token/issue";
import { RouteState } from "@sallyport/contracts";
import { makeAuthority } from "@sallyport/testkit/certificates";
import { FakeEdgeService } from "@sallyport/testkit/edge-service";
import { startGatewayDoor } from "@sallyport/testkit/gateway-door";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startProxy } from "../attack/proxy.ts";
import { DOMAIN, PLATFORM_ID, sandbox } from "../names.ts";

const SANDBOX = sandbox(1);
const HOST = `${SANDBOX}.${DOMAIN}`;
/** More than kernel and streams hold between two ends. */
const BODY = randomBytes(48 * 1_024 * 1_024);
const SUM = createHash("sha256").update(BODY).digest("hex");
/** Between two rests of a reader. */
const STRETCH_BYTES = 12 * 1_024 * 1_024;
const REST_MS = 100;

const stack = new AsyncDisposableStack();
let port: number;
let ca: string;
let authorization: string;

/** Reads to the end, and rests again and again; the sum of it all. */
async function sumOfRested(stream: Readable): Promise<string> {
  const hash = createHash("sha256");
  let awake = 0;
  for await (const piece of stream) {
    hash.update(piece as Buffer);
    awake += (piece as Buffer).length;
    if (awake < STRETCH_BYTES) continue;
    awake = 0;
    await sleep(REST_MS);
  }
  return hash.digest("hex");
}

beforeAll(async () => {
  const home = await mkdtemp(join(tmpdir(), "bodies-"));
  stack.defer(() => rm(home, { recursive: true, force: true }));
  const app = createServer((incoming, response) => {
    if (incoming.method === "GET") response.writeHead(200, { "content-length": BODY.length }).end(BODY);
    else
      sumOfRested(incoming).then(
        (sum) => response.end(sum),
        () => response.destroy(),
      );
  }).listen(0, "127.0.0.1");
  await once(app, "listening");
  stack.defer(() => {
    app.closeAllConnections();
    app.close();
  });
  const ids = { sandboxId: SANDBOX, workspaceId: SANDBOX.replace("sb", "ws") };
  const instanceId = SANDBOX.replace("sb", "in");
  const gateway = stack.use(await startGatewayDoor());
  gateway.lead(instanceId, 8_080, { loopbackPort: (app.address() as AddressInfo).port });
  const authority = await makeAuthority();
  const edge = new FakeEdgeService({ platformId: PLATFORM_ID, socketPath: join(home, "edge.sock"), authority });
  stack.use(edge);
  const key = await SigningKey.import(await generateSigningKey("connect-token"));
  const route = { ...ids, instanceId, state: RouteState.RUNNING, gateway: gateway.path, tokenEpoch: 0, tunnels: [] };
  edge.tell({ routes: [route], keySet: JSON.stringify({ keys: [key.publicJwk] }) });
  await edge.start();
  const proxy = stack.use(
    await startProxy({
      home,
      edge: edge.socketPath,
      gateway: gateway.path,
      domain: DOMAIN,
      platformId: PLATFORM_ID,
      settings: {},
    }),
  );
  await edge.settled();
  const issuer = { issuer: `sallyport:${PLATFORM_ID}`, key, now: () => Date.now() };
  const { token } = await issueConnectToken({ id: "ct-1", ...ids, epoch: 0 }, issuer);
  [port, ca, authorization] = [proxy.port, authority.pem, `Bearer ${token}`];
});

afterAll(() => stack.disposeAsync());

/** The answer's body. What is not read of it is not asked for either. */
type Exchange = (method: "GET" | "POST", body: Buffer) => Promise<Readable>;

function http1(version: "TLSv1.2" | "TLSv1.3"): Exchange {
  return async (method, body) => {
    const call = request({
      host: "127.0.0.1",
      port,
      method,
      headers: { host: `${HOST}:${port}`, authorization, "content-length": body.length },
      agent: false,
      servername: HOST,
      ca,
      minVersion: version,
      maxVersion: version,
    });
    call.end(body);
    const [answer] = (await once(call, "response")) as [IncomingMessage];
    expect(answer.statusCode).toBe(200);
    return answer;
  };
}

const http2: Exchange = async (method, body) => {
  const session = connect(`https://${HOST}:${port}`, {
    ca,
    lookup: (_name, _options, found) => found(null, [{ address: "127.0.0.1", family: 4 }]),
  });
  stack.defer(() => session.destroy());
  const isEmpty = body.length === 0;
  const call: Duplex = session.request({ ":method": method, ":path": "/", authorization }, { endStream: isEmpty });
  if (!isEmpty) call.end(body);
  const [head] = (await once(call, "response")) as [{ ":status": number }];
  expect(head[":status"]).toBe(200);
  return call;
};

describe.each<[string, Exchange]>([
  ["HTTP/1.1 over TLS 1.2", http1("TLSv1.2")],
  ["HTTP/1.1 over TLS 1.3", http1("TLSv1.3")],
  ["HTTP/2", http2],
])("a long body by %s", (_name, exchange) => {
  it("comes down whole to a client that rests", async () => {
    expect(await sumOfRested(await exchange("GET", Buffer.alloc(0)))).toBe(SUM);
  });

  it("goes up whole to an app that rests", async () => {
    expect(await text(await exchange("POST", BODY))).toBe(SUM);
  });
});
