// SandboxIO over HTTP, with the real init: processes by JSON and by bytes, outputs as events that go on after a break,
// files as they are.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HTTP_ROUTES } from "@sallyport/contracts";
import type { JsonObject } from "@sallyport/contracts/json";
import { RestClient } from "@sallyport/testkit/rest-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { signToken } from "./fake-api.ts";
import type { IoClient } from "./harness.ts";
import { eventually, Harness, idOf, MIB } from "./harness.ts";
import type { RealInit } from "./real-init.ts";
import { startRealInit } from "./real-init.ts";

let harness: Harness;
let init: RealInit;
let io: IoClient;
let rest: RestClient;
let token: string;
let folder: string;
beforeAll(async () => {
  harness = await Harness.start();
  init = await startRealInit();
  io = await harness.ready({ number: 1, ...init });
  rest = new RestClient(harness.httpPort);
  token = await harness.token(1);
  folder = mkdtempSync(join(tmpdir(), "sallyport-rest-"));
});
afterAll(async () => {
  io.close();
  await harness[Symbol.asyncDispose]();
  await init[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function start(execId: string, argv: string[], more: JsonObject = {}): Promise<void> {
  const answer = await rest.call("POST", "/v1/processes", { token, body: { execId, command: { argv }, ...more } });
  expect(answer).toMatchObject({ status: 200, json: {} });
}

const text = (event: { data: JsonObject }) => {
  const { chunk } = event.data as { chunk?: { data: string } };
  return Buffer.from(chunk?.data ?? "", "base64").toString();
};
const OCTETS = { accept: "application/octet-stream" };

describe("a process", () => {
  it("is started, written to, read and awaited", async () => {
    await start("cat", ["cat"], { stdin: true });
    const body = { offset: 0, data: Buffer.from("hello\n").toString("base64"), end: true };
    const written = await rest.call("POST", "/v1/processes/cat/input", { token, body });
    expect(written.json).toMatchObject({ acceptedOffset: "6" });
    const ended = await rest.call("POST", "/v1/processes/cat/wait", { token, body: { waitMs: 10_000 } });
    expect(ended.json).toMatchObject({ outcome: { reason: "END_REASON_EXITED", exitCode: 0 } });
    const events = await rest.events("/v1/processes/cat/output?stream=stdout&follow=true", { token });
    expect(events.map(({ event, id }) => [event, id])).toEqual([
      ["chunk", "6"],
      ["end", "6"],
    ]);
    expect(events.map(text).join("")).toBe("hello\n");
    const listed = await rest.call("GET", "/v1/processes", { token });
    expect(JSON.stringify(listed.json)).toContain('"execId":"cat"');
    const raw = await rest.fetch("GET", "/v1/processes/cat/output?stream=stdout&offset=2", { token, headers: OCTETS });
    expect([raw.headers.get("sallyport-offset"), await raw.text()]).toEqual(["2", "llo\n"]);
  });

  it("is run and told to its end in one call", async () => {
    const body = { execId: "whole", command: { argv: ["sh", "-c", "echo out; echo err >&2; exit 7"] } };
    const answer = await rest.fetch("POST", "/v1/run", { token, body });
    const lines = (await answer.text()).split("\n");
    expect(answer.headers.get("content-type")).toBe("text/event-stream");
    const names = lines.filter((line) => line.startsWith("event: ")).map((line) => line.slice(7));
    expect(names.toSorted()).toEqual(["outcome", "stderr", "stderr", "stdout", "stdout"]);
    expect(lines.findLast((line) => line.startsWith("data: "))).toContain('"exitCode":7');
  });

  it("is signalled, and its terminal resized", async () => {
    await start("sleep", ["sleep", "60"], { pty: { columns: 80, rows: 24 } });
    const size = await rest.call("POST", "/v1/processes/sleep/resize", {
      token,
      body: { size: { columns: 90, rows: 30 } },
    });
    expect(size.status).toBe(200);
    await rest.call("POST", "/v1/processes/sleep/signal", { token, body: { signal: "SIGKILL" } });
    const ended = await rest.call("POST", "/v1/processes/sleep/wait", { token, body: { waitMs: 10_000 } });
    expect(ended.json).toMatchObject({ outcome: { reason: "END_REASON_SIGNALLED" } });
  });

  it("is read on after a break, byte by byte the same", async () => {
    await start("count", ["sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done"]);
    const path = "/v1/processes/count/output?stream=stdout&follow=true";
    const seen: string[] = [];
    let last = "0";
    for (let round = 0; round < 5_000; round += 1) {
      const events = await rest.events(path, { token, headers: { "last-event-id": last } }, (some) => some.length > 0);
      seen.push(...events.map(text));
      last = events.at(-1)?.id ?? last;
      if (events.at(-1)?.event === "end") break;
    }
    expect(seen.join("")).toBe(Array.from({ length: 20_000 }, (_, index) => `${index}\n`).join(""));
  });

  it("is told what it missed as it happens, and its readers may leave", async () => {
    await start("slow", ["sh", "-c", "echo a; read line; echo b"], { stdin: true });
    const calls = () =>
      rest.events("/v1/processes/slow/output?stream=stdout&follow=true", { token }, (seen) => seen.length > 0);
    for (let round = 0; round < 100; round += 1) expect(text((await calls())[0] ?? { data: {} })).toBe("a\n");
  });
});

describe("a file", () => {
  it("goes in and out as bytes, whole", async () => {
    const bytes = randomBytes(5 * MIB + 17);
    const target = join(folder, "big");
    const put = await fetch(`${rest.url}/v1/files?path=${encodeURIComponent(target)}&mode=384`, {
      method: "PUT",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/octet-stream" },
      body: bytes,
    });
    expect([put.status, await put.json()]).toEqual([200, { acceptedOffset: String(bytes.length) }]);
    expect(createHash("sha256").update(readFileSync(target)).digest("hex")).toBe(sha(bytes));
    expect(statSync(target).mode & 0o777).toBe(0o600);
    const path = `/v1/files/content?path=${encodeURIComponent(target)}`;
    const got = await rest.fetch("GET", path, { token, headers: OCTETS });
    expect(got.headers.get("content-type")).toBe("application/octet-stream");
    expect(sha(Buffer.from(await got.arrayBuffer()))).toBe(sha(bytes));
    const part = await rest.fetch("GET", `${path}&offset=100&length=50`, { token, headers: OCTETS });
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(100, 150))).toBe(true);
    const events = await rest.events(`${path}&length=3`, { token });
    expect(events.map(({ event }) => event)).toEqual(["info", "data", "end"]);
  });

  it("that is empty is one too", async () => {
    const target = join(folder, "empty");
    const headers = { "content-type": "application/octet-stream" };
    const put = await rest.call("PUT", `/v1/files?path=${target}`, { token, headers, body: "" });
    expect([put.status, statSync(target).size]).toEqual([200, 0]);
  });

  it("goes in whole though the token ends on the way", async () => {
    const target = join(folder, "slow");
    const short = await signToken(harness.key, { sandboxId: idOf("sb", 1), instanceId: idOf("in", 1), expiresInS: 2 });
    const socket = connect(harness.httpPort, "127.0.0.1");
    const head = [
      `PUT /v1/files?path=${target} HTTP/1.1`,
      "Host: x",
      `Authorization: Bearer ${short}`,
      "Content-Type: application/octet-stream",
      "Content-Length: 600000",
      "Connection: close",
    ];
    socket.write(`${head.join("\r\n")}\r\n\r\n${"x".repeat(300_000)}`);
    let answer = "";
    socket.on("data", (chunk: Buffer) => {
      answer += chunk.toString();
    });
    await eventually("the token's end", async () => {
      const { status } = await rest.call("GET", "/v1/processes", { token: short });
      return status === 401;
    });
    socket.write("y".repeat(300_000));
    await once(socket, "close");
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(statSync(target).size).toBe(600_000);
  });

  it("is not there when its bytes break off", async () => {
    const target = join(folder, "half");
    const socket = connect(harness.httpPort, "127.0.0.1");
    socket.write(
      `PUT /v1/files?path=${target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/octet-stream\r\nContent-Length: 1000000\r\n\r\n${"x".repeat(300_000)}`,
    );
    await once(socket, "connect");
    await eventually("its beginning", () =>
      readdirSync(folder).some((name) => name.startsWith(".") || name === "half"),
    );
    socket.destroy();
    expect(readdirSync(folder)).not.toContain("half");
  });

  it("is looked at, made, listed and removed", async () => {
    const made = join(folder, "a", "b");
    const body = { path: made, recursive: true };
    expect((await rest.call("POST", "/v1/files/directory", { token, body })).status).toBe(200);
    writeFileSync(join(made, "x"), "1");
    const stat = await rest.call("GET", `/v1/files/stat?path=${made}/x`, { token });
    expect(stat.json).toMatchObject({ file: { type: "FILE_TYPE_FILE", size: "1" } });
    const listed = await rest.events(`/v1/files?path=${made}`, { token });
    expect(listed).toMatchObject([{ event: "message", data: { files: [{ path: `${made}/x` }] } }]);
    const small = { writeId: "w1", path: `${made}/y`, data: Buffer.from("hi").toString("base64"), end: true };
    const written = await rest.call("POST", "/v1/files/content", { token, body: small });
    expect([written.json, readFileSync(`${made}/y`, "utf8")]).toEqual([{ acceptedOffset: "2" }, "hi"]);
    const full = await rest.call("DELETE", `/v1/files?path=${join(folder, "a")}`, { token });
    expect(full).toMatchObject({ status: 409, json: { code: "FailedPrecondition" } });
    expect((await rest.call("DELETE", `/v1/files?path=${join(folder, "a")}&recursive=true`, { token })).status).toBe(
      200,
    );
  });

  it.each([
    ["GET", "/v1/files/content?path=/nowhere", 404, "path"],
    ["GET", "/v1/files/content?path=relative", 400, "path"],
    ["GET", "/v1/files/content", 400, "path"],
    ["GET", "/v1/files/content?path=/etc", 409, "path"],
    ["GET", "/v1/files/content?path=/etc/passwd&offset=-1", 400, "offset"],
    ["GET", "/v1/files/content?path=/etc/passwd&nope=1", 400, "nope"],
    ["PUT", "/v1/files?path=/nowhere/x", 404, "path"],
    ["PUT", "/v1/files?path=relative", 400, "path"],
    ["PUT", "/v1/files?path=/x&mode=99999", 400, "mode"],
    ["PUT", "/v1/files?path=/x&offset=5", 400, "query"],
    ["PUT", "/v1/files?path=/x&writeId=5", 400, "query"],
  ])("is refused by its field, as bytes too: %s %s", async (verb, path, status, field) => {
    for (const headers of [OCTETS, {}] as Record<string, string>[]) {
      const sent =
        verb === "PUT"
          ? { body: "x", headers: { ...headers, "content-type": "application/octet-stream" } }
          : { headers };
      const { json, type, ...answer } = await rest.call(verb, path, { token, ...sent });
      expect([answer.status, type, json["field"]], JSON.stringify(json)).toEqual([
        status,
        "application/problem+json",
        field,
      ]);
    }
  });

  it("is bytes, not a form", async () => {
    const headers = { "content-type": "multipart/form-data; boundary=x" };
    expect((await rest.call("PUT", "/v1/files?path=/x", { token, headers, body: "x" })).status).toBe(415);
  });
});

describe("who calls", () => {
  it("has the token of the sandbox, or nothing", async () => {
    for (const { method, path, verb } of HTTP_ROUTES) {
      const { status } = await rest.call(verb, path.replaceAll(/\{\w+\}/g, "x"));
      const isOurs = method.includes("/sallyport.v1.SandboxIO/");
      expect(`${method} ${status}`).toBe(`${method} ${isOurs ? 401 : 404}`);
    }
    expect((await rest.call("PUT", "/v1/files?path=/x", { body: "x" })).status).toBe(401);
    const { headers } = await rest.call("GET", "/v1/processes", { token: "x.y.z" });
    expect(headers.get("www-authenticate")).toMatch(/^Bearer/);
    const other = await harness.token(2);
    expect((await rest.call("GET", "/v1/processes", { token: other })).status).toBe(404);
  });
});

function sha(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
