// Connect tokens at the command line, against real protos on real sockets: made, shown once, listed, revoked, used by curl.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeAuthority } from "@sallyport/testkit/certificates";
import { EchoServer } from "@sallyport/testkit/echo-server";
import { FakePlatform } from "@sallyport/testkit/fake-platform";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cli } from "../test/run-cli.ts";

let platform: FakePlatform;
let root: string;
let id: string;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "connect-token-"));
  platform = await FakePlatform.start();
  id = (await run("run", "-d", "--name", "web")).stdout.trim();
});
afterEach(async () => {
  await platform[Symbol.asyncDispose]();
  rmSync(root, { recursive: true });
});

const run = (...argv: string[]) => cli(platform, argv);

describe("connect-token create", () => {
  it("hands on every option, under both names", async () => {
    const options = ["--port", "3000", "--user-metadata", '{"user_id":"foo"}', "--expires-in", "10m", "--embed"];
    expect((await run("connect-token", "create", "web", ...options)).code).toBe(0);
    expect((await run("token", "create", id, "--user-metadata", "null")).code).toBe(0);
    expect(platform.connect.requests).toEqual([
      { sandboxId: id, userMetadata: { user_id: "foo" }, port: 3_000, expiresInMs: 600_000, embed: true },
      expect.objectContaining({ sandboxId: id, userMetadata: null, embed: false }),
    ]);
  });

  it("shows the token once, and a line for curl without it", async () => {
    platform.connect.warnings = ["the port has a tunnel, too\u001b[2J"];
    const { stdout, stderr } = await run("connect-token", "create", "web");
    expect(stderr).toBe("warning: the port has a tunnel, too\\x1b[2J\n");
    expect(stdout.match(/fake-connect-token-1\.secret/g)).toHaveLength(1);
    expect(stdout).toContain(`id       ${platform.connect.issued[0]?.tokenId}\n`);
    expect(stdout).toContain(`url      https://${id}.localhost:7443\n`);
    expect(stdout).toMatch(/^expires +20.*Z \(in (60|59)m\)$/m);
    expect(stdout).toMatch(/^ {2}printf .*"\$CONNECT_TOKEN" \| curl -H @- https:\/\/sb-\S+\/$/m);
    expect(stdout).not.toContain("--cacert");
  });

  it("is one JSON object, or the token alone", async () => {
    platform.connect.caPem = "PEM";
    const json = JSON.parse((await run("connect-token", "create", "web", "--json")).stdout) as object;
    const token = "fake-connect-token-1.secret";
    expect(json).toMatchObject({ url: `https://${id}.localhost:7443`, token, warnings: [], caPem: "PEM" });
    expect((await run("connect-token", "create", "web", "-q")).stdout).toBe("fake-connect-token-2.secret\n");
  });

  it("makes a header that curl takes, for this user alone, and shows no token", async () => {
    const file = join(root, "it's a header");
    const { code, stdout } = await run("connect-token", "create", "web", "--header-file", file);
    expect(code).toBe(0);
    expect(stdout).not.toContain("secret");
    expect(readFileSync(file, "utf8")).toBe("Authorization: Bearer fake-connect-token-1.secret\n");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const again = await run("connect-token", "create", "web", "--header-file", file);
    expect(again).toMatchObject({ code: 1, stdout: "" });
    expect(again.stderr).toContain("must not be there yet");
  });

  it("refuses what is no JSON, and options that contradict each other, without a call", async () => {
    for (const options of [
      ["--user-metadata", "{"],
      ["--expires-in", "soon"],
      ["--port", "http"],
      ["--quiet", "--json"],
      ["--header-file", "x", "--json"],
    ]) {
      expect((await run("connect-token", "create", "web", ...options)).code, options.join(" ")).toBe(2);
    }
    expect(platform.calls).not.toContain("createConnectToken");
    const refused = await run("connect-token", "create", "web", "--port", "0");
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toContain("port");
  });
});

describe("the line for curl", () => {
  it("works as it is printed, in a shell", { timeout: 30_000 }, async () => {
    const authority = await makeAuthority();
    await using server = await EchoServer.start(await authority.issue([`${id}.localhost`]));
    platform.connect.domain = `localhost:${server.port}`;
    platform.connect.caPem = authority.pem;
    const shell = async (script: string) =>
      (
        await promisify(execFile)("bash", ["-euc", script], {
          cwd: root,
          env: { PATH: "/usr/bin:/bin", PEM: authority.pem },
        })
      ).stdout;
    // What `sallyport ca print` prints is the test's to say.
    const ready = (printed: string) =>
      printed
        .slice(printed.indexOf("\n\n"))
        .replace(/^It is shown.*$/m, "")
        .replace("sallyport ca print", 'printf %s "$PEM"')
        .replace("curl ", "curl -sS ");
    const pasted = (await run("connect-token", "create", "web")).stdout;
    const line = ready(pasted).replace("read -rs CONNECT_TOKEN", "CONNECT_TOKEN=fake-connect-token-1.secret");
    expect(JSON.parse(await shell(line))).toMatchObject({
      target: "/",
      headers: { authorization: "Bearer fake-connect-token-1.secret" },
    });
    const filed = (await run("connect-token", "create", "web", "--header-file", join(root, "it's a header"))).stdout;
    expect(JSON.parse(await shell(ready(filed)))).toMatchObject({
      headers: { authorization: "Bearer fake-connect-token-2.secret" },
    });
  });
});

describe("connect-token list and revoke", () => {
  it("tell of tokens by id, and end them", async () => {
    await run("connect-token", "create", "web");
    await run("connect-token", "create", "web", "--port", "3000");
    const [first, second] = platform.connect.issued.map(({ tokenId }) => tokenId);
    expect((await run("connect-token", "revoke", "web", first ?? "")).stdout).toBe(`${first}\n`);
    const { stdout } = await run("token", "list", "web");
    expect(stdout).toMatch(new RegExp(`^ID .*\\n${second} +3000 .* expires in .*\\n${first} +8080 .* revoked 20`));
    expect(stdout).not.toContain("secret");
    platform.connect.staleEdges = ["edge-\u001b2"];
    const all = await run("connect-token", "revoke", "web", "--all");
    expect(all).toMatchObject({ code: 0, stdout: `${id}\n` });
    expect(all.stderr).toMatch(/^warning: out of reach: edge-\\x1b2; /);
    expect(JSON.parse((await run("connect-token", "revoke", "web", "--all", "--json")).stdout)).toEqual({
      sandbox: id,
      staleEdges: ["edge-\u001b2"],
    });
    expect(JSON.parse((await run("connect-token", "list", "web", "--json")).stdout)).toHaveLength(2);
    expect((await run("connect-token", "revoke", "web", "ct-none")).code).toBe(1);
  });

  it("take one, or all, and nothing in between", async () => {
    expect((await run("connect-token", "revoke", "web")).code).toBe(2);
    expect((await run("connect-token", "revoke", "web", "ct-1", "--all")).code).toBe(2);
    expect(platform.calls.filter((call) => call.startsWith("revoke"))).toEqual([]);
  });
});

// No authority here is one that could be taken up.
describe("ca trust", () => {
  const trust = (...options: string[]) =>
    cli(platform, ["ca", "trust", ...options], { env: { SALLYPORT_HOME: join(root, "none") } });

  it("refuses an authority that is not bound, whoever says so", async () => {
    platform.connect.caPem = (await makeAuthority()).pem;
    const refused = await trust();
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toContain('not bound to "localhost"');
  });

  it("trusts a platform elsewhere for no domain that the user has not named", async () => {
    platform.connect.authorityDomains = ["sandboxes.example.com"];
    const unnamed = await trust();
    expect(unnamed).toMatchObject({ code: 1, stdout: "" });
    expect(unnamed.stderr).toMatch(/for sandboxes\.example\.com[\s\S]*--domain NAME/);
    expect((await trust("--domain", "other.example.com")).stderr).toContain("not for other.example.com");
    expect((await trust("--domain", "sandboxes.example.com")).stderr).toContain('not bound to "sandboxes.example.com"');
    platform.connect.authorityDomains = ["localhost", "example.com"];
    expect((await trust()).stderr).toContain("for 2 domains");
    platform.connect.authorityDomains = [];
    expect((await trust()).code).toBe(1);
  });
});
