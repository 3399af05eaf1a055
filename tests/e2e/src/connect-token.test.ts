// Connect tokens from end to end: SDK and command, the proxy, the gateway, and a server under gVisor.
import { execFile } from "node:child_process";
import { chown, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Client, LocalAuthority } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";
import { CONNECT_APP } from "@sallyport/testkit/connect-app";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { newWorkspace } from "./workspace.ts";

const exec = promisify(execFile);
const NOBODY = 65_534;
const SALLYPORT = "/opt/sallyport/current/bin/sallyport";

interface Who {
  readonly user: string | null;
  readonly path: string;
  readonly headers: readonly string[];
}

let client: Client;
let apiToken: string;
let sandbox: Sandbox;
let folder: string;
beforeAll(async () => {
  ({ client, token: apiToken } = await newWorkspace("connect-token"));
  // It reaches nothing, and is reached.
  sandbox = await Sandbox.create(["python3", "-c", CONNECT_APP], { client, name: "web", blockNetwork: true });
  folder = await mkdtemp(join(tmpdir(), "connect-token-"));
});
afterAll(async () => {
  await sandbox.terminate();
  await client[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const whoIs = async (response: Response) => (await response.json()) as Who;

async function sallyport(...argv: string[]): Promise<string> {
  const env = {
    PATH: process.env["PATH"],
    HOME: folder,
    SALLYPORT_API_URL: inject("apiUrl"),
    SALLYPORT_TOKEN: apiToken,
  };
  return (await exec(SALLYPORT, argv, { env, cwd: folder })).stdout;
}

/** What a socket says, to its end. */
function heardOf(socket: WebSocket): string[] {
  const heard: string[] = [];
  socket.addEventListener("message", ({ data }) => heard.push(String(data)));
  socket.addEventListener("close", ({ code }) => heard.push(`closed ${code}`));
  socket.addEventListener("error", () => heard.push("failed"));
  return heard;
}

describe("the SDK", () => {
  it("talks to a server in a sandbox, which learns who asks and no token", async () => {
    const token = await sandbox.createConnectToken({ userMetadata: { user_id: "foo", name: "Zoë" } });
    expect(token.url).toMatch(new RegExp(`^https://${sandbox.id}\\.localhost:\\d+$`));
    expect(token.caPem).toContain("BEGIN CERTIFICATE");
    const who = await whoIs(await token.fetch("/who?a=1", { headers: { "x-verified-user-data": "forged" } }));
    expect(who).toMatchObject({ user: '{"user_id":"foo","name":"Zo\\u00eb"}', path: "/who?a=1" });
    expect(JSON.stringify(who)).not.toContain(token.token);
    expect(JSON.stringify(who)).not.toContain("forged");
    const sum = await token.fetch("/sum", { method: "POST", body: new Uint8Array(1_000_000) });
    expect(await sum.json()).toMatchObject({ length: 1_000_000 });
    expect((await (await token.fetch("/bytes/3000000")).bytes()).length).toBe(3_000_000);
    expect((await token.fetch("/nothing")).status).toBe(204);
    const plain = await whoIs(await (await sandbox.createConnectToken()).fetch("/who"));
    expect(plain.user).toBeNull();
  });

  it("holds a WebSocket until its token is revoked, and reaches nothing any more then", async () => {
    const token = await sandbox.createConnectToken({ userMetadata: ["foo"] });
    const socket = token.webSocket("/socket", "echo");
    const heard = heardOf(socket);
    // The app greets with what it is told of the client.
    await expect.poll(() => heard).toEqual(['["foo"]']);
    expect(socket.protocol).toBe("echo");
    socket.send("Hello world!");
    await expect.poll(() => heard.slice(1)).toEqual(["Hello world!"]);
    expect(await token.revoke()).toEqual({ staleEdges: [] });
    await expect.poll(() => heard.at(-1)).toBe("closed 1008");
    const refused = await token.fetch("/who");
    expect(refused.status).toBe(401);
    expect(await refused.json()).toMatchObject({ code: "TokenRevoked" });
    const [listed] = (await sandbox.connectTokens()).filter(({ id }) => id === token.id);
    expect(listed?.revokedAt).toBeInstanceOf(Date);
    // The others go on.
    expect((await (await sandbox.createConnectToken()).fetch("/who")).status).toBe(200);
  });

  it("ends all of a sandbox's tokens at once, but not later ones", async () => {
    const before = await sandbox.createConnectToken();
    expect((await before.fetch("/who")).status).toBe(200);
    expect(await sandbox.revokeConnectTokens()).toEqual({ staleEdges: [] });
    expect((await before.fetch("/who")).status).toBe(401);
    expect((await (await sandbox.createConnectToken()).fetch("/who")).status).toBe(200);
  });

  it("is told which port nobody listens at, and gets no other sandbox by the token", async () => {
    const nobody = await (await sandbox.createConnectToken({ port: 3_000 })).fetch("/");
    expect(nobody.status).toBe(502);
    expect(await nobody.json()).toMatchObject({
      code: "NothingListens",
      message: expect.stringContaining("3000") as string,
    });
    const token = await sandbox.createConnectToken();
    await using other = await Sandbox.create({ client });
    const elsewhere = await other.createConnectToken();
    const stranger = await elsewhere.fetch(`/?_connect_token=${token.token}`);
    // The header counts, and the query is taken away: there nothing listens.
    expect(stranger.status).toBe(502);
    await other.terminate();
    const ended = await elsewhere.fetch("/");
    expect([ended.status, ((await ended.json()) as { code: string }).code]).toEqual([410, "SandboxEnded"]);
    await expect(other.createConnectToken()).rejects.toMatchObject({ code: "SandboxEnded" });
  });

  it("refuses what cannot be granted, by its option", async () => {
    const userMetadata = "é".repeat(100);
    await expect(sandbox.createConnectToken({ userMetadata })).rejects.toMatchObject({
      code: "InvalidArgument",
      field: "userMetadata",
      message: expect.stringMatching(/602 .* 512/) as string,
    });
    await expect(sandbox.createConnectToken({ port: 65_536 })).rejects.toMatchObject({ field: "port" });
    await expect(sandbox.createConnectToken({ expiresInMs: 999 })).rejects.toMatchObject({ field: "expiresInMs" });
    await expect(sandbox.revokeConnectToken("ct-01jd0000000000000000000000")).rejects.toMatchObject({
      code: "NotFound",
    });
  });
});

describe("the command", () => {
  it("makes a token whose line for curl works, lists it, and revokes it", { timeout: 60_000 }, async () => {
    const made = await sallyport(
      "connect-token",
      "create",
      "web",
      "--user-metadata",
      '{"by":"hand"}',
      "--header-file",
      "web.header",
    );
    const [, id = ""] = /^id +(\S+)$/m.exec(made) ?? [];
    const [, secret = ""] = /Bearer (\S+)/.exec(await readFile(join(folder, "web.header"), "utf8")) ?? [];
    expect(secret.length).toBeGreaterThan(100);
    expect(made).not.toContain(secret);
    const path = `${process.env["PATH"]}:/opt/sallyport/current/bin`;
    const env = { PATH: path, HOME: folder, SALLYPORT_API_URL: inject("apiUrl"), SALLYPORT_TOKEN: apiToken };
    const lines = made.slice(made.indexOf("\n\n")).replace(/(curl .*\/)$/m, "$1who");
    expect(lines).toMatch(/curl --cacert sallyport-ca\.pem -H @web\.header https:\S+\/who/);
    const { stdout } = await exec("bash", ["-euc", lines], { env, cwd: folder });
    expect(JSON.parse(stdout)).toMatchObject({ user: '{"by":"hand"}' });
    expect(await sallyport("connect-token", "list", "web")).toMatch(new RegExp(`^${id} +8080 .*expires in`, "m"));
    expect(await sallyport("token", "revoke", "web", id)).toBe(`${id}\n`);
    await expect(exec("bash", ["-euc", lines.replace("curl ", "curl --fail ")], { env, cwd: folder })).rejects.toThrow(
      /401/,
    );
    expect(await sallyport("connect-token", "list", "web")).toMatch(new RegExp(`^${id} .*revoked 20`, "m"));
  });

  it("has a user's browsers trust the platform's authority, which is bound to its names", {
    timeout: 60_000,
  }, async () => {
    const home = await mkdtemp(join(tmpdir(), "connect-user-"));
    try {
      // A browser to be found: it is not started.
      await writeFile(join(home, "chromium"), "", { mode: 0o755 });
      await chown(home, NOBODY, NOBODY);
      const path = `${home}:${process.env["PATH"]}`;
      const env = { PATH: path, HOME: home, SALLYPORT_API_URL: inject("apiUrl"), SALLYPORT_TOKEN: apiToken };
      const asNobody = async (...argv: string[]) => {
        const user = ["--reuid", String(NOBODY), "--regid", String(NOBODY), "--clear-groups", SALLYPORT];
        return (await exec("setpriv", [...user, ...argv], { env, cwd: home })).stdout;
      };
      const { domains, fingerprint } = JSON.parse(await asNobody("ca", "print", "--json")) as LocalAuthority;
      expect(domains).toEqual(["localhost"]);
      const trusted = await asNobody("ca", "trust");
      expect(trusted).toMatch(new RegExp(`^the authority of localhost, .*: SHA-256 ${fingerprint}\n`));
      expect(trusted).toMatch(/^skipped \/usr\/local\/share\/ca-certificates: .*\n +type: /m);
      expect(trusted).toContain(`done    ${home}/.pki/nssdb: `);
      const listed = (await exec("certutil", ["-L", "-d", `sql:${home}/.pki/nssdb`])).stdout;
      expect(listed).toContain(`Sallyport local authority ${fingerprint.slice(0, 16)}`);
      expect(await asNobody("ca", "untrust")).toContain(`done    ${home}/.pki/nssdb: `);
      expect((await exec("certutil", ["-L", "-d", `sql:${home}/.pki/nssdb`])).stdout).not.toContain("Sallyport");
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });

  it("knows the edges and the keys, and changes the key without breaking a token", { timeout: 60_000 }, async () => {
    const operate = (...argv: string[]) => sallyport(...argv, "--home", inject("home"), "--json");
    const edges = JSON.parse(await operate("edges")) as readonly { stale: boolean }[];
    expect(edges.map(({ stale }) => stale)).toEqual([false, false]);
    const before = await sandbox.createConnectToken();
    const { keyId, staleEdges } = JSON.parse(await operate("keys", "rotate")) as {
      keyId: string;
      staleEdges: string[];
    };
    expect(staleEdges).toEqual([]);
    const keys = JSON.parse(await operate("keys", "list")) as readonly { keyId: string; signing: boolean }[];
    expect(keys.filter(({ signing }) => signing).map((key) => key.keyId)).toEqual([keyId]);
    expect(keys.length).toBeGreaterThan(1);
    const after = await sandbox.createConnectToken();
    expect((await before.fetch("/who")).status).toBe(200);
    expect((await after.fetch("/who")).status).toBe(200);
    const header = JSON.parse(Buffer.from(after.token.split(".")[0] ?? "", "base64url").toString()) as { kid: string };
    expect(header.kid).toBe(keyId);
  });
});
