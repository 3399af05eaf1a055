// Connect tokens as programs make and use them: real protos, real TLS from an authority that nobody trusts, and a server
// that tells what it was sent.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import type { Authority } from "@sallyport/testkit/certificates";
import { makeAuthority } from "@sallyport/testkit/certificates";
import type { SeenRequest } from "@sallyport/testkit/echo-server";
import { EchoServer } from "@sallyport/testkit/echo-server";
import { FakePlatform } from "@sallyport/testkit/fake-platform";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ConnectToken, ConnectTokenOptions, Json } from "./index.ts";
import { Client, Sandbox } from "./index.ts";

let authority: Authority;
let server: EchoServer;
let other: EchoServer;
let platform: FakePlatform;
let client: Client;
let sandbox: Sandbox;
beforeAll(async () => {
  authority = await makeAuthority();
  // The first three sandboxes of each platform; browsers and clients alike take no wildcard below localhost.
  const names = [1, 2, 3].map((serial) => `sb-${String(serial).padStart(26, "0")}.localhost`);
  server = await EchoServer.start(await authority.issue(names));
  other = await EchoServer.start(await authority.issue(["elsewhere.localhost", "127.0.0.1"]));
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});
beforeEach(async () => {
  platform = await FakePlatform.start();
  platform.connect.domain = `localhost:${server.port}`;
  platform.connect.caPem = authority.pem;
  client = new Client({ url: platform.apiUrl, token: platform.token });
  sandbox = await Sandbox.create({ client });
  server.seen.length = 0;
  other.seen.length = 0;
});
afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await platform[Symbol.asyncDispose]();
});

const seenBy = async (response: Response) => (await response.json()) as SeenRequest;

describe("a connect token", () => {
  it("is made as it is asked for", async () => {
    platform.connect.warnings = ["port 8080 has a tunnel, too"];
    const token = await sandbox.createConnectToken({
      userMetadata: { user_id: "foo" },
      port: 3_000,
      expiresInMs: 5_000,
      embed: true,
    });
    expect(platform.connect.requests).toEqual([
      { sandboxId: sandbox.id, userMetadata: { user_id: "foo" }, port: 3_000, expiresInMs: 5_000, embed: true },
    ]);
    const [issued] = platform.connect.issued;
    expect(token).toMatchObject({ id: issued?.tokenId, url: `https://${sandbox.id}.localhost:${server.port}` });
    expect(token.token).toBe(issued?.token);
    expect(token.expiresAt).toEqual(issued?.expiresAt);
    expect(token.warnings).toEqual(["port 8080 has a tunnel, too"]);
    expect(token.caPem).toBe(authority.pem);
  });

  it("needs no option, and says so where public authorities vouch for its URL", async () => {
    platform.connect.caPem = "";
    expect((await sandbox.createConnectToken()).caPem).toBeUndefined();
    expect(platform.connect.requests).toMatchObject([{ embed: false }]);
    expect(platform.connect.requests[0]?.userMetadata).toBeUndefined();
  });

  it.each<[string, Json]>([
    ["null", null],
    ["false", false],
    ["a number", -1.5],
    ["a text", "ü\u0000\u{1f4a5}"],
    ["a list", [1, [], {}, null]],
    ["an object", { a: { b: ["c"] }, constructor: 1, "": "" }],
  ])("carries any value of JSON: %s", async (_, userMetadata) => {
    await sandbox.createConnectToken({ userMetadata });
    expect(platform.connect.requests[0]?.userMetadata).toEqual(userMetadata);
  });

  it.each<[string, unknown]>([
    ["userMetadata", () => 1],
    ["userMetadata", Symbol("x")],
    ["userMetadata", 1n],
    ["userMetadata", Number.NaN],
    ["userMetadata", Number.POSITIVE_INFINITY],
    ["userMetadata", new Date(0)],
    ["userMetadata", new Map()],
    ["userMetadata", "\ud800"],
    ["userMetadata", { "\ud800": 1 }],
    ["userMetadata", JSON.parse('{"__proto__": 1}')],
    ["userMetadata.a", { a: undefined }],
    ["userMetadata.a[1]", { a: [1, undefined] }],
    ["userMetadata[0]", Object.assign([], { length: 1 })],
    ["userMetadata.a", { a: { toJSON: () => 1 } }],
  ])("refuses what JSON cannot say: %s", async (field, userMetadata) => {
    const options = { userMetadata } as ConnectTokenOptions;
    await expect(sandbox.createConnectToken(options)).rejects.toMatchObject({ code: "InvalidArgument", field });
    expect(platform.calls).toEqual(["createSandbox"]);
  });

  it("refuses what goes round in circles", async () => {
    const round: Record<string, unknown> = {};
    round["a"] = round;
    const options = { userMetadata: round } as ConnectTokenOptions;
    await expect(sandbox.createConnectToken(options)).rejects.toMatchObject({
      code: "InvalidArgument",
      message: expect.stringContaining("nested") as string,
    });
  });

  it("is refused by its option, and rides out an outage", async () => {
    await expect(sandbox.createConnectToken({ port: 0 })).rejects.toMatchObject({
      code: "InvalidArgument",
      field: "port",
    });
    await expect(sandbox.createConnectToken({ expiresInMs: 0 })).rejects.toMatchObject({ field: "expiresInMs" });
    await expect(sandbox.createConnectToken({ port: 1.5 })).rejects.toMatchObject({ field: "port" });
    platform.fail("createConnectToken", { code: "InvalidArgument", field: "user_metadata" });
    await expect(sandbox.createConnectToken()).rejects.toMatchObject({ field: "userMetadata" });
    platform.fail("createConnectToken", { code: "Unavailable" }, { code: "Unavailable", instead: "cut" });
    expect((await sandbox.createConnectToken()).token).toMatch(/^fake-connect-token-/);
    await sandbox.terminate();
    await expect(sandbox.createConnectToken()).rejects.toMatchObject({ code: "SandboxEnded" });
  });

  it("is listed without itself, and revoked by handle, by id, or with all of its sandbox", async () => {
    const first = await sandbox.createConnectToken({ port: 3_000 });
    const second = await sandbox.createConnectToken({ embed: true });
    expect(await first.revoke()).toEqual({ staleEdges: [] });
    const listed = await sandbox.connectTokens();
    expect(listed).toMatchObject([
      { id: second.id, port: 8_080, embed: true, revokedAt: undefined },
      { id: first.id, port: 3_000, embed: false, revokedAt: expect.any(Date) as Date },
    ]);
    expect(JSON.stringify(listed)).not.toContain("secret");
    platform.connect.staleEdges = ["edge-2"];
    expect(await sandbox.revokeConnectToken(second.id)).toEqual({ staleEdges: ["edge-2"] });
    expect(await sandbox.revokeConnectTokens()).toEqual({ staleEdges: ["edge-2"] });
    await expect(sandbox.revokeConnectToken("ct-none")).rejects.toMatchObject({ code: "NotFound", field: "id" });
    await expect(first.revoke({ signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "Cancelled" });
  });
});

describe("what is shown of it", () => {
  it("is never the token", async () => {
    const token = await sandbox.createConnectToken();
    const response = await token.fetch("/");
    const socket = token.webSocket("/");
    await new Promise((resolve) => socket.addEventListener("message", resolve, { once: true }));
    socket.close();
    const failure = await token.fetch("/", { signal: AbortSignal.abort() }).catch((error: unknown) => error);
    platform.connect.caPem = (await makeAuthority()).pem;
    const misled = await sandbox.createConnectToken();
    const distrust = await misled.fetch("/").catch((error: unknown) => error);
    const refused = await token.fetch("//elsewhere.localhost/").catch((error: unknown) => error);
    const options = { depth: 20, showHidden: true, getters: true };
    const shown = [token, response, socket, failure, distrust, refused, sandbox, client].map((one) =>
      inspect(one, options),
    );
    shown.push(
      JSON.stringify(token),
      JSON.stringify({ token }),
      String(token),
      token.toString(),
      inspect({ ...token }),
    );
    shown.push(inspect(Object.entries(token)), socket.url, response.url);
    expect(shown.filter((text) => text.includes("secret"))).toEqual([]);
    expect(shown[0]).toContain(token.url);
    expect(JSON.parse(JSON.stringify(token))).toEqual({
      id: token.id,
      url: token.url,
      expiresAt: token.expiresAt.toISOString(),
      warnings: [],
    });
  });
});

describe("fetch", () => {
  let token: ConnectToken;
  beforeEach(async () => {
    token = await sandbox.createConnectToken();
  });

  it("sends the token in Authorization and nowhere else, to a name that no resolver knows", async () => {
    const response = await token.fetch("/items?page=2#part", { headers: { "x-mine": "1" } });
    const seen = await seenBy(response);
    expect(seen).toMatchObject({ method: "GET", target: "/items?page=2" });
    expect(seen.headers).toMatchObject({
      authorization: `Bearer ${token.token}`,
      host: `${sandbox.id}.localhost:${server.port}`,
      "x-mine": "1",
    });
    expect(seen.headers.cookie).toBeUndefined();
  });

  it("answers with a Response of this program's own, whole", async () => {
    const response = await token.fetch("/a");
    expect(response).toBeInstanceOf(Response);
    expect(response).toMatchObject({ status: 200, ok: true, redirected: false, url: `${token.url}/a` });
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect((await token.fetch("/status/204")).body).toBeNull();
    expect((await token.fetch("/status/304")).status).toBe(304);
  });

  it.each<[string, () => NonNullable<RequestInit["body"]>, RegExp, string]>([
    ["a text", () => "ü", /^text\/plain/, "ü"],
    ["bytes", () => new TextEncoder().encode("bytes"), /^undefined$/, "bytes"],
    ["a query", () => new URLSearchParams({ a: "1" }), /^application\/x-www-form-urlencoded/, "a=1"],
    ["a stream", () => new Blob(["str", "eam"]).stream(), /^undefined$/, "stream"],
    ["a blob", () => new Blob(["blob"], { type: "x/y" }), /^x\/y$/, "blob"],
  ])("takes the bodies that fetch takes: %s", async (_, body, type, text) => {
    const seen = await seenBy(await token.fetch("/", { method: "POST", body: body(), duplex: "half" }));
    expect(seen.body).toBe(text);
    expect(String(seen.headers["content-type"])).toMatch(type);
  });

  it("writes forms out", async () => {
    const form = new FormData();
    form.set("a", "ü");
    form.set("file", new Blob(["in it"]), "name.txt");
    const seen = await seenBy(await token.fetch("/", { method: "POST", body: form }));
    const [, boundary = ""] = /^multipart\/form-data; boundary=(.+)$/.exec(String(seen.headers["content-type"])) ?? [];
    expect(seen.body.split(`--${boundary}`)).toHaveLength(4);
    expect(seen.body).toContain('filename="name.txt"');
    expect(seen.body).toContain("in it");
  });

  it("refuses to lead the token elsewhere, and leaves the caller's credentials to other headers", async () => {
    const elsewhere = [
      "https://elsewhere.localhost/",
      "//elsewhere.localhost/",
      "\\\\elsewhere.localhost/",
      `http://${sandbox.id}.localhost:${server.port}/`,
      `https://${sandbox.id}.localhost/`,
      `https://user:password@${sandbox.id}.localhost:${server.port}/`,
      "javascript:alert(1)",
      "http://[",
    ];
    for (const path of elsewhere) {
      await expect(token.fetch(path), path).rejects.toMatchObject({ code: "InvalidArgument", field: "path" });
      expect(() => token.webSocket(path), path).toThrow(/^path: leads elsewhere/);
    }
    for (const headers of [
      { authorization: "Basic x" },
      new Headers({ Authorization: "" }),
      [["AUTHORIZATION", "x"]],
    ]) {
      const init = { headers } as RequestInit;
      await expect(token.fetch("/", init)).rejects.toMatchObject({ code: "InvalidArgument", field: "init.headers" });
    }
    expect(server.seen).toEqual([]);
    const paths = ["", "items", `${token.url}/items`, "/a/../items"];
    for (const path of paths) expect((await token.fetch(path)).status).toBe(200);
    expect(server.seen.map(({ target }) => target)).toEqual(["/", "/items", "/items", "/items"]);
  });

  const redirect = (to: string, init: RequestInit = {}, status = 307) =>
    token.fetch(`/redirect?status=${status}&to=${encodeURIComponent(to)}`, init);

  it("follows redirects within the sandbox, with the token", async () => {
    const response = await redirect("/there?a=1", { headers: { "x-mine": "1" } });
    expect(response).toMatchObject({ redirected: true, url: `${token.url}/there?a=1`, status: 200 });
    expect((await seenBy(response)).headers).toMatchObject({ authorization: `Bearer ${token.token}`, "x-mine": "1" });
    expect(await redirect(`${token.url}/there`)).toMatchObject({ redirected: true, url: `${token.url}/there` });
  });

  it.each<[number, string, string, string]>([
    [301, "POST", "GET", ""],
    [302, "POST", "GET", ""],
    [302, "PUT", "PUT", "text"],
    [303, "PUT", "GET", ""],
    [307, "POST", "POST", "text"],
    [308, "DELETE", "DELETE", "text"],
  ])("keeps or drops the body as fetch does: %i after %s", async (status, method, then, body) => {
    const seen = await seenBy(await redirect("/there", { method, body: "text" }, status));
    expect(seen).toMatchObject({ method: then, body });
    expect(seen.headers["content-type"]?.startsWith("text/plain") ?? false).toBe(body !== "");
  });

  it("sends no stream twice, and gives up what goes round in circles", async () => {
    const body = () => new Blob(["text"]).stream();
    const stream = redirect("/there", { method: "POST", body: body(), duplex: "half" });
    await expect(stream).rejects.toThrow(TypeError);
    const seen = await seenBy(await redirect("/there", { method: "POST", body: body(), duplex: "half" }, 303));
    expect(seen).toMatchObject({ method: "GET", body: "" });
    server.seen.length = 0;
    await expect(token.fetch("/round")).rejects.toThrow(/more than 20 redirects/);
    expect(server.seen).toHaveLength(21);
  });

  it("asks nobody else, wherever an app would have it go", async () => {
    const elsewhere = [
      `https://elsewhere.localhost:${other.port}/`,
      `//elsewhere.localhost:${other.port}/`,
      `http://${sandbox.id}.localhost:${server.port}/`,
      `https://user:password@${sandbox.id}.localhost:${server.port}/there`,
      "http://127.0.0.1:9/",
      "data:text/plain,hello",
      "http://[",
    ];
    for (const to of elsewhere) {
      await expect(redirect(to), to).rejects.toMatchObject({ code: "FailedPrecondition" });
      await expect(redirect(to, { redirect: "error" }), to).rejects.toThrow(TypeError);
      const manual = await redirect(to, { redirect: "manual" });
      expect([manual.status, manual.headers.get("location")]).toEqual([307, to]);
    }
    expect(other.seen).toEqual([]);
    expect(server.seen.filter(({ target }) => !target.startsWith("/redirect"))).toEqual([]);
  });

  it("trusts the platform's authority for its domain alone, and nothing else of the program does", async () => {
    await expect(fetch(`https://127.0.0.1:${other.port}/`)).rejects.toThrow();
    const stranger = await makeAuthority();
    platform.connect.caPem = stranger.pem;
    const misled = await sandbox.createConnectToken();
    await expect(misled.fetch("/")).rejects.toMatchObject({
      cause: { code: expect.stringMatching(/CERT|SIGNATURE|VERIFY/) as string },
    });
    platform.connect.caPem = "";
    await expect((await sandbox.createConnectToken()).fetch("/")).rejects.toThrow();
    expect(server.seen.filter(({ target }) => target === "/")).toEqual([]);
    // A certificate of the right authority for another name.
    platform.connect.caPem = authority.pem;
    platform.connect.domain = `localhost:${other.port}`;
    await expect((await sandbox.createConnectToken()).fetch("/")).rejects.toMatchObject({
      cause: { code: "ERR_TLS_CERT_ALTNAME_INVALID" },
    });
  });

  it("trusts the authorities that the user named, where the platform names none", async () => {
    const folder = await mkdtemp(join(tmpdir(), "sdk-ca-"));
    try {
      const caFile = join(folder, "ca.pem");
      await writeFile(caFile, authority.pem);
      await using own = new Client({ url: platform.apiUrl, token: platform.token, caFile });
      platform.connect.caPem = "";
      const mine = await (await Sandbox.fromId(sandbox.id, { client: own })).createConnectToken();
      expect((await mine.fetch("/")).status).toBe(200);
      await expect((await sandbox.createConnectToken()).fetch("/")).rejects.toThrow();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it("streams, and ends with its signal or its client", async () => {
    const controller = new AbortController();
    const first = await token.fetch("/slow", { signal: controller.signal });
    const reader = first.body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toBe("begun");
    const reading = reader?.read();
    controller.abort();
    await expect(reading).rejects.toMatchObject({ name: "AbortError" });
    const second = await token.fetch("/slow");
    await client[Symbol.asyncDispose]();
    await expect(second.text()).rejects.toMatchObject({ code: "Cancelled" });
    await expect(token.revoke()).rejects.toMatchObject({ code: "Cancelled" });
  });
});

describe("webSocket", () => {
  it("opens with the token in its handshake, speaks, and shows no token", async () => {
    const token = await sandbox.createConnectToken();
    const socket = token.webSocket("/ws?a=1", ["one", "two"]);
    const messages: string[] = [];
    socket.addEventListener("message", ({ data }) => messages.push(String(data)));
    await expect.poll(() => messages).toHaveLength(1);
    const seen = JSON.parse(messages[0] ?? "") as SeenRequest;
    expect(seen.target).toBe("/ws?a=1");
    expect(seen.headers).toMatchObject({
      authorization: `Bearer ${token.token}`,
      "sec-websocket-protocol": "one, two",
    });
    expect(socket).toMatchObject({ protocol: "one", url: `wss://${sandbox.id}.localhost:${server.port}/ws?a=1` });
    socket.send("echo");
    await expect.poll(() => messages).toEqual([messages[0], "echo"]);
    const closed = new Promise((resolve) => socket.addEventListener("close", resolve, { once: true }));
    socket.close();
    await closed;
    expect(socket.readyState).toBe(socket.CLOSED);
  });

  it("fails by its events where the certificate is another's, and is cut with its client", async () => {
    platform.connect.caPem = (await makeAuthority()).pem;
    const misled = await sandbox.createConnectToken();
    const failed = misled.webSocket("/");
    await new Promise((resolve) => failed.addEventListener("error", resolve, { once: true }));
    expect(server.seen).toEqual([]);
    platform.connect.caPem = authority.pem;
    const socket = (await sandbox.createConnectToken()).webSocket(
      `wss://${sandbox.id}.localhost:${server.port}/`,
      "one",
    );
    await new Promise((resolve) => socket.addEventListener("open", resolve, { once: true }));
    const closed = new Promise((resolve) => socket.addEventListener("close", resolve, { once: true }));
    await client[Symbol.asyncDispose]();
    await closed;
  });

  it("is cut with its client, though the app never answers its closing", async () => {
    const socket = (await sandbox.createConnectToken()).webSocket("/deaf");
    await new Promise((resolve) => socket.addEventListener("message", resolve, { once: true }));
    expect(server.upgraded).toBe(1);
    await client[Symbol.asyncDispose]();
    await expect.poll(() => server.upgraded).toBe(0);
    expect(socket.readyState).toBe(socket.CLOSED);
  });
});
