// Connect tokens as programs meet them that nobody here wrote: curl, and Debian's Python with requests and websockets.
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Sandbox } from "@sallyport/sdk";
import type { Reach } from "@sallyport/testkit/connect-app";
import { CONNECT_APP, reachOf } from "@sallyport/testkit/connect-app";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newWorkspace } from "./workspace.ts";

const PROGRAM = fileURLToPath(new URL("connect_client.py", import.meta.url));
const METADATA = { user_id: "foo", name: "Zoë" };
const USER_DATA = '{"user_id":"foo","name":"Zo\\u00eb"}';

let sandbox: Sandbox;
let reach: Reach;

beforeAll(async () => {
  const { client } = await newWorkspace("clients");
  sandbox = await Sandbox.create(["python3", "-c", CONNECT_APP], { client });
  reach = await reachOf(await sandbox.createConnectToken({ userMetadata: METADATA }));
});

afterAll(async () => {
  await reach?.[Symbol.asyncDispose]();
  await sandbox?.terminate();
});

/** What curl prints; rejects when it fails. */
async function curl(...args: readonly string[]): Promise<string> {
  const usual = ["--silent", "--show-error", "--max-time", "30", "--cacert", reach.caFile];
  const { stdout } = await promisify(execFile)("/usr/bin/curl", [...usual, ...args], { maxBuffer: 1 << 26 });
  return stdout;
}

interface Who {
  readonly user: string | null;
  readonly path: string;
  readonly headers: readonly string[];
}

describe("curl", () => {
  const bearer = () => ["--header", `Authorization: Bearer ${reach.token}`];

  for (const version of ["--http1.0", "--http1.1", "--http2"]) {
    it(`sends the token in a header (${version})`, async () => {
      const who = JSON.parse(await curl(version, ...bearer(), `${reach.url}/who?x=%20y`)) as Who;
      expect(who).toMatchObject({ user: USER_DATA, path: "/who?x=%20y" });
      expect(JSON.stringify(who)).not.toContain(reach.token);
      expect(who.headers.filter((header) => /^x-forwarded-proto: https$/i.test(header))).toHaveLength(1);
    });
  }

  it("sends it in the query, and keeps the cookie", async () => {
    const jar = join(reach.folder, "jar");
    const first = JSON.parse(
      await curl("--cookie-jar", jar, `${reach.url}/who?_modal_connect_token=${reach.token}`),
    ) as Who;
    expect(first).toMatchObject({ user: USER_DATA, path: "/who" });
    expect(await readFile(jar, "utf8")).toContain("__Host-_modal_connect_token");
    const second = JSON.parse(await curl("--cookie", jar, `${reach.url}/who`)) as Who;
    expect(second).toMatchObject({ user: USER_DATA, path: "/who" });
    expect(JSON.stringify(second)).not.toContain(reach.token);
  });

  it("cannot say who it is", async () => {
    const forged = ["--header", 'X-Verified-User-Data: {"user_id":"root"}', "--header", "x_verified_user_data: root"];
    const who = JSON.parse(await curl(...bearer(), ...forged, `${reach.url}/who`)) as Who;
    expect(who.user).toBe(USER_DATA);
    expect(JSON.stringify(who)).not.toContain("root");
  });

  it("uploads after 100 Continue, and is refused before it sends a byte", async () => {
    const file = join(reach.folder, "upload");
    await writeFile(file, Buffer.alloc(2_000_000, "u"));
    const said = [
      "--http1.1",
      "--verbose",
      "--header",
      "Expect: 100-continue",
      "--upload-file",
      file,
      `${reach.url}/sum`,
    ];
    const { stdout, stderr } = await promisify(execFile)("/usr/bin/curl", [
      "-s",
      "--cacert",
      reach.caFile,
      ...bearer(),
      ...said,
    ]);
    expect(JSON.parse(stdout)).toMatchObject({ length: 2_000_000 });
    expect(stderr).toContain("< HTTP/1.1 100 Continue");
    const refused = await promisify(execFile)("/usr/bin/curl", [
      "-s",
      "--cacert",
      reach.caFile,
      "--write-out",
      "\n%{http_code} %{size_upload}",
      ...said,
    ]);
    expect(refused.stdout.split("\n").at(-1)).toBe("401 0");
    expect(refused.stderr).not.toContain("100 Continue");
  });

  it("gets errors that a program can read, and a person", async () => {
    const problem = JSON.parse(await curl(`${reach.url}/who`)) as { code: string; requestId?: string };
    expect(problem.code).toMatch(/^[A-Z][A-Za-z]+$/);
    const page = await curl("--header", "Accept: text/html", `${reach.url}/who`);
    expect(page).toMatch(/^<!doctype html>/i);
  });
});

describe("Python", () => {
  it("talks by requests and websockets", async () => {
    const env = {
      PATH: "/usr/bin:/bin",
      SANDBOX_URL: reach.url,
      SANDBOX_TOKEN: reach.token,
      SANDBOX_CA: reach.caFile,
    };
    const { stdout } = await promisify(execFile)("/usr/bin/python3", [PROGRAM], { env, timeout: 55_000 });
    expect(JSON.parse(stdout)).toEqual({
      header: [USER_DATA, "/who?a=1"],
      hidden: true,
      query: [200, USER_DATA, "/who?b=2"],
      cookies: ["__Host-_modal_connect_token", "_modal_connect_token"],
      cookie: [200, USER_DATA, true],
      nobody: [401, expect.any(String), "Bearer"],
      wrong: 401,
      head: [200, "1000", 0],
      nothing: [204, 0],
      upload: true,
      chunks: true,
      download: 5_000_000,
      events: ["data: first", "data: second"],
      socket: [USER_DATA, "hello", true, "echo"],
      socketByQuery: USER_DATA,
      socketOfNobody: 401,
      hijacked: 403,
    });
  });
});
