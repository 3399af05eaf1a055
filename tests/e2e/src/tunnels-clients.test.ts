// Tunnels as programs meet them that nobody here wrote: curl, openssl, and Debian's Python with requests.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Client, Tunnel } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";
import { tunnelApp } from "@sallyport/testkit/tunnel-app";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { newWorkspace } from "./workspace.ts";

const exec = promisify(execFile);
const SALLYPORT = "/opt/sallyport/current/bin/sallyport";

let client: Client;
let apiToken: string;
let sandbox: Sandbox<8000 | 8001 | 8002>;
let web: Tunnel;
let h2: Tunnel;
let raw: Tunnel;
let folder: string;
let caFile: string;
beforeAll(async () => {
  ({ client, token: apiToken } = await newWorkspace("tunnel-clients"));
  sandbox = await Sandbox.create(tunnelApp("http:8000:web", "h2:8001:two", "http:8002:raw"), {
    client,
    name: "served",
    encryptedPorts: [8_000],
    h2Ports: [8_001],
    unencryptedPorts: [8_002],
  });
  ({ 8000: web, 8001: h2, 8002: raw } = await sandbox.tunnels());
  folder = await mkdtemp(join(tmpdir(), "tunnels-"));
  caFile = join(folder, "ca.pem");
  await writeFile(caFile, web.caPem ?? "");
});
afterAll(async () => {
  await sandbox.terminate();
  await client[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** What curl prints; rejects when it fails. */
async function curl(...args: readonly string[]): Promise<string> {
  const usual = ["--silent", "--show-error", "--max-time", "30", "--cacert", caFile];
  return (await exec("/usr/bin/curl", [...usual, ...args])).stdout;
}

describe("curl", () => {
  it("fetches over TLS and raw TCP", async () => {
    for (const version of ["--http1.0", "--http1.1", "--tlsv1.3"]) {
      expect(await curl(version, web.url)).toMatch(/ web\n$/);
    }
    expect(await curl("--tls-max", "1.2", web.url)).toMatch(/ web\n$/);
    expect(await curl(`http://${raw.tcpSocket?.join(":")}/`)).toMatch(/ raw\n$/);
    expect(await curl(raw.url)).toMatch(/ raw\n$/);
  });

  it("speaks HTTP/2 at a port that was declared so, and at no other", async () => {
    const version = ["--write-out", " %{http_version}"];
    expect(await curl("--http2", ...version, h2.url)).toBe("two 2");
    expect(await curl("--http2", ...version, web.url)).toMatch(/web\n 1.1$/);
    await expect(curl("--http1.1", h2.url)).rejects.toThrow(/alert|ssl/i);
    await expect(curl("--no-alpn", h2.url)).rejects.toThrow();
  });

  it("trusts no other name, and is given no certificate for one", async () => {
    const other = `tn-00000000000000000000000000.localhost`;
    await expect(curl(`https://${other}:${web.port}/`)).rejects.toThrow(/unrecognized name/i);
  });
});

describe("openssl", () => {
  const sClient = (...args: readonly string[]) =>
    exec("sh", ["-c", `(printf 'GET / HTTP/1.0\\r\\n\\r\\n'; sleep 1) | openssl s_client "$@"`, "sh", ...args]).then(
      ({ stdout, stderr }) => stdout + stderr,
      (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
    );
  const at = (tunnel: Tunnel) => ["-connect", `127.0.0.1:${tunnel.port}`, "-CAfile", caFile];

  it("agrees on TLS 1.3 and 1.2, and on nothing older", async () => {
    for (const [version, name] of [
      ["-tls1_3", "TLSv1.3"],
      ["-tls1_2", "TLSv1.2"],
    ] as const) {
      const said = await sClient(...at(web), "-servername", web.host, version);
      expect(said).toContain("Verify return code: 0 (ok)");
      expect(said).toContain(name);
    }
    for (const version of ["-tls1_1", "-tls1"]) {
      const said = await sClient(...at(web), "-servername", web.host, version, "-cipher", "ALL:@SECLEVEL=0");
      expect(said).toContain("no peer certificate available");
      expect(said).toContain("Cipher is (NONE)");
    }
  });

  it("is refused without a name, and where it offers another protocol than the port's", async () => {
    expect(await sClient(...at(web), "-noservername")).toMatch(/unrecognized name/i);
    expect(await sClient(...at(h2), "-servername", h2.host, "-alpn", "http/1.1")).toMatch(/no application protocol/i);
    expect(await sClient(...at(h2), "-servername", h2.host, "-alpn", "h2")).toContain("ALPN protocol: h2");
    expect(await sClient(...at(web), "-servername", `${web.host.toUpperCase()}.`)).toContain(
      "Verify return code: 0 (ok)",
    );
  });
});

describe("Python", () => {
  it("fetches by requests as in the guide", async () => {
    const program = "import os, requests; print(requests.get(os.environ['URL'], timeout=30).text, end='')";
    const env = { PATH: "/usr/bin:/bin", URL: web.url, REQUESTS_CA_BUNDLE: caFile };
    const { stdout } = await exec("/usr/bin/python3", ["-c", program], { env });
    expect(stdout).toMatch(/ web\n$/);
  });
});

describe("the command", () => {
  it("lists tunnels", async () => {
    const env = {
      PATH: process.env["PATH"],
      HOME: folder,
      SALLYPORT_API_URL: inject("apiUrl"),
      SALLYPORT_TOKEN: apiToken,
    };
    const { stdout } = await exec(SALLYPORT, ["tunnels", "served"], { env, cwd: folder });
    for (const part of [web.url, h2.url, raw.tcpSocket?.join(":") ?? "-"]) expect(stdout).toContain(part);
  });
});
