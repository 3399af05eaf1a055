// What programs that look for weak TLS make of the edge: sslscan, testssl.sh with its list of known faults, openssl.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Tunnel } from "@sallyport/sdk";
import { Client, Sandbox } from "@sallyport/sdk";
import { CONNECT_APP } from "@sallyport/testkit/connect-app";
import { startPlatform } from "@sallyport/testkit/platform";
import { tunnelApp } from "@sallyport/testkit/tunnel-app";
import { afterAll, beforeAll, expect, it } from "vitest";

const SSLSCAN_TIMEOUT_MS = 60_000;
const TESTSSL_TIMEOUT_MS = 420_000;
/**
 * Versions, then one fault each, from Heartbleed to RC4. Not those that it looks for without a server name, which would
 * find nothing because nobody answers; nor what takes minutes, each cipher by itself, which sslscan does.
 */
const TESTS = "-p -H -BB -C -Z -O -W -F -D -J -A -4".split(" ");
const OPENSSL_TIMEOUT_MS = 20_000;
const CIPHERS = [
  "TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256",
  "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384",
  "TLSv1.2 ECDHE-ECDSA-CHACHA20-POLY1305",
  "TLSv1.3 TLS_AES_128_GCM_SHA256",
  "TLSv1.3 TLS_AES_256_GCM_SHA384",
  "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256",
];

const exec = promisify(execFile);
const stack = new AsyncDisposableStack();
let client: Client;
let tunnel: Tunnel;
let folder: string;

beforeAll(async () => {
  const platform = stack.use(await startPlatform());
  const { token } = await platform.createWorkspace("scanners");
  client = stack.use(new Client({ url: platform.apiUrl, token }));
  const sandbox = await Sandbox.create(tunnelApp("http:8000:web"), { client, encryptedPorts: [8_000] });
  tunnel = (await sandbox.tunnels())[8_000];
  folder = await mkdtemp(join(tmpdir(), "tunnel-scanners-"));
  stack.defer(() => rm(folder, { recursive: true }));
});

afterAll(async () => {
  await stack.disposeAsync();
});

/** The attributes of each element of a name, in the order that they are written in. */
function elements(xml: string, name: string): Record<string, string>[] {
  const attributes = (text: string) => Object.fromEntries([...text.matchAll(/([\w-]+)="([^"]*)"/g)].map(pairOf));
  return [...xml.matchAll(new RegExp(`<${name} ([^>]*)>`, "g"))].map(([, text = ""]) => attributes(text));
}

const pairOf = ([, name = "", value = ""]: RegExpExecArray): [string, string] => [name, value];

async function sslscan(host: string): Promise<string> {
  const args = ["--xml=-", "--no-colour", `--sni-name=${host}`, `127.0.0.1:${tunnel.port}`];
  return (await exec("/usr/bin/sslscan", args, { timeout: SSLSCAN_TIMEOUT_MS })).stdout;
}

it("sslscan finds TLS 1.2 and 1.3 alone, no cipher without forward secrecy, and a certificate of the name", async () => {
  const app = await Sandbox.create(["python3", "-c", CONNECT_APP], { client });
  // Of the connect-proxy's, which the same address leads to by its name.
  const other = new URL((await app.createConnectToken()).url).hostname;
  for (const host of [tunnel.host, other]) {
    const xml = await sslscan(host);
    const versions = elements(xml, "protocol").map(({ enabled, type, version }) => [`${type} ${version}`, enabled]);
    expect(Object.fromEntries(versions), host).toEqual({
      "ssl 2": "0",
      "ssl 3": "0",
      "tls 1.0": "0",
      "tls 1.1": "0",
      "tls 1.2": "1",
      "tls 1.3": "1",
    });
    const ciphers = elements(xml, "cipher").map(({ cipher, sslversion }) => `${sslversion} ${cipher}`);
    expect(ciphers.sort()).toEqual(CIPHERS);
    const groups = elements(xml, "group").map(({ name }) => name?.split(" ")[0]);
    expect(new Set(groups)).toEqual(new Set(["secp256r1", "secp384r1", "x25519"]));
    expect(elements(xml, "renegotiation")).toEqual([{ supported: "0", secure: "0" }]);
    expect(elements(xml, "heartbleed").map(({ vulnerable }) => vulnerable)).toEqual(["0", "0"]);
    expect(xml).not.toContain('<compression supported="1"');
    expect(xml).toContain(`<altnames><![CDATA[DNS:${host}]]></altnames>`);
    for (const part of ["<self-signed>false<", "<expired>false<", "<signature-algorithm>ecdsa-with-SHA256<"]) {
      expect(xml).toContain(part);
    }
  }
});

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

it("testssl.sh finds none of the faults that it knows", async () => {
  const caFile = join(folder, "ca.pem");
  await writeFile(caFile, tunnel.caPem ?? "");
  const report = join(folder, "report.json");
  const where = ["--ip", "127.0.0.1", "--nodns", "none", "--assume-http", "--add-ca", caFile];
  const how = ["--warnings", "off", "--color", "0", "--quiet", "--jsonfile", report];
  // Its status is a number of findings, among them notes: the report decides.
  const said = await exec("/usr/bin/testssl", [...where, ...how, ...TESTS, tunnel.url], { timeout: TESTSSL_TIMEOUT_MS })
    .then(({ stdout }) => stdout)
    .catch((error: { stdout: string }) => error.stdout);
  const findings = JSON.parse(await readFile(report, "utf8")) as Finding[];
  const found = Object.fromEntries(findings.map(({ finding, id }) => [id, finding]));
  expect(found, said).toMatchObject({
    SSLv2: "not offered",
    SSLv3: "not offered",
    TLS1: "not offered",
    TLS1_1: "not offered",
    TLS1_2: "offered",
    TLS1_3: "offered with final",
    ALPN: "http/1.1",
  });
  const sound = findings.filter(({ severity }) => severity === "OK").map(({ id }) => id);
  const faults = ["heartbleed", "ROBOT", "CRIME_TLS", "POODLE_SSL", "fallback_SCSV", "SWEET32", "FREAK", "DROWN"];
  faults.push("LOGJAM", "BEAST", "RC4");
  expect(sound).toEqual(expect.arrayContaining(faults));
  const grave = new Set(["LOW", "MEDIUM", "HIGH", "CRITICAL", "FATAL"]);
  expect(findings.filter(({ severity }) => grave.has(severity))).toEqual([]);
});

it("openssl is refused a second handshake within a connection, and agrees on no compression", async () => {
  const where = ["-connect", `127.0.0.1:${tunnel.port}`, "-servername", tunnel.host];
  const call = exec("/usr/bin/openssl", ["s_client", "-tls1_2", ...where], { timeout: OPENSSL_TIMEOUT_MS });
  // A line of an R alone asks for one. The input stays open: by itself it ends for the refusal alone.
  call.child.stdin?.write("R\n");
  const failure = await call.then(
    () => undefined,
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
  expect(failure?.code).toBe(1);
  expect(failure?.stdout).toContain("Secure Renegotiation IS supported");
  expect(failure?.stdout).toContain("Compression: NONE");
  expect(failure?.stderr).toContain("RENEGOTIATING");
  expect(failure?.stderr).toContain("no renegotiation");
});
