// Tunnels in a real browser: two of HTTP/2 under one certificate, which browsers take for one server where they may; and
// cookies, which know no ports.
/// <reference lib="dom" />
import { execFile } from "node:child_process";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Tunnel } from "@sallyport/sdk";
import { Client, Sandbox } from "@sallyport/sdk";
import { CONNECT_APP } from "@sallyport/testkit/connect-app";
import type { TestPlatform } from "@sallyport/testkit/platform";
import { startPlatform } from "@sallyport/testkit/platform";
import { tunnelApp } from "@sallyport/testkit/tunnel-app";
import type { Page } from "playwright-core";
import { expect, it } from "vitest";
import { startChromium } from "./chromium.ts";

const DOMAIN = "tunnels.example";
const PATIENCE_MS = 30_000;

async function clientOf(platform: TestPlatform, name: string): Promise<Client> {
  return new Client({ url: platform.apiUrl, token: (await platform.createWorkspace(name)).token });
}

/** A certificate for every name below the domain, as an operator has one; and the authority that vouches for it. */
async function wildcard(folder: string): Promise<{ caPem: string; chain: string; key: string }> {
  const path = (name: string) => join(folder, name);
  const openssl = (...args: readonly string[]) => promisify(execFile)("/usr/bin/openssl", [...args]);
  const fresh = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await openssl(
    "req",
    "-x509",
    ...fresh,
    "-keyout",
    path("ca.key"),
    "-out",
    path("ca.pem"),
    "-subj",
    "/CN=test",
    "-days",
    "1",
  );
  const name = ["-subj", "/CN=host", "-addext", `subjectAltName=DNS:*.${DOMAIN}`];
  await openssl("req", ...fresh, "-keyout", path("key.pem"), "-out", path("host.csr"), ...name);
  const by = ["-CA", path("ca.pem"), "-CAkey", path("ca.key"), "-copy_extensions", "copyall", "-days", "1"];
  await openssl("x509", "-req", "-in", path("host.csr"), ...by, "-out", path("chain.pem"));
  // The edge reads them as its own user.
  await chmod(path("key.pem"), 0o644);
  return { caPem: await readFile(path("ca.pem"), "utf8"), chain: path("chain.pem"), key: path("key.pem") };
}

/** What a page gets from an address, over which connection the browser pleases. */
function fetched(page: Page, url: string): Promise<string> {
  return page.evaluate(async (from) => (await fetch(from, { cache: "no-store" })).text(), url);
}

it("has two tunnels of one wildcard certificate never answer for each other", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "wildcard-"));
  stack.defer(() => rm(folder, { recursive: true }));
  await chmod(folder, 0o755);
  const { caPem, chain, key } = await wildcard(folder);
  const platform = stack.use(
    await startPlatform({
      env: { SALLYPORT_TUNNEL_DOMAIN: DOMAIN, SALLYPORT_TUNNEL_CERT: chain, SALLYPORT_TUNNEL_KEY: key },
    }),
  );
  const tunnelOf = async (name: string): Promise<Tunnel> => {
    const client = stack.use(await clientOf(platform, name));
    const sandbox = await Sandbox.create(tunnelApp(`h2:8000:I am ${name}`), { client, h2Ports: [8_000] });
    return (await sandbox.tunnels())[8_000];
  };
  const [one, other] = [await tunnelOf("one"), await tunnelOf("other")];
  expect([one.host.endsWith(DOMAIN), other.host.endsWith(DOMAIN)]).toEqual([true, true]);
  const rules = `--host-resolver-rules=MAP *.${DOMAIN} 127.0.0.1`;
  const { browser } = stack.use(await startChromium(caPem, [rules]));
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  await page.goto(one.url);
  const protocol = () =>
    performance.getEntriesByType("navigation").map((entry) => "nextHopProtocol" in entry && entry.nextHopProtocol);
  expect(await page.evaluate(protocol)).toEqual(["h2"]);
  for (let round = 0; round < 5; round += 1) {
    const urls = [one.url, other.url, other.url, one.url];
    const texts = await Promise.all(urls.map((url) => fetched(page, url)));
    expect(texts).toEqual(["I am one", "I am other", "I am other", "I am one"]);
  }
});

it("has no cookie of a tunnel come to another one, nor to a host of connect tokens", async () => {
  await using stack = new AsyncDisposableStack();
  const platform = stack.use(await startPlatform());
  const client = stack.use(await clientOf(platform, "cookies"));
  const tunnelOf = async () => {
    const sandbox = await Sandbox.create(tunnelApp("http:8000:here", "http:8001:raw"), {
      client,
      encryptedPorts: [8_000],
      unencryptedPorts: [8_001],
    });
    return await sandbox.tunnels();
  };
  const [mine, other] = [await tunnelOf(), await tunnelOf()];
  const app = await Sandbox.create(["python3", "-c", CONNECT_APP], { client });
  const token = await app.createConnectToken();
  const { browser } = stack.use(await startChromium(mine[8_000].caPem ?? ""));
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const toss = () => {
    for (const domain of ["", "; Domain=localhost", "; Domain=.localhost", "; Domain=127.0.0.1"]) {
      // biome-ignore lint/suspicious/noDocumentCookie: it is the attack.
      document.cookie = `tossed=yes; Path=/${domain}`;
    }
  };
  const raw = `http://${mine[8_001].tcpSocket?.join(":")}/`;
  for (const url of [mine[8_000].url, raw]) {
    await page.goto(url);
    await page.evaluate(toss);
    await page.goto(url);
    expect(await page.textContent("body"), "its own comes back").toContain("tossed=yes");
  }
  await page.goto(other[8_000].url);
  expect(await page.textContent("body")).not.toContain("tossed");
  const link = `${token.url}/page?_modal_connect_token=${token.token}`;
  await page.goto(link);
  expect(await page.evaluate(() => document.cookie)).not.toContain("tossed");
  const who = await page.evaluate(async () => (await fetch("/who")).text());
  expect(who).not.toContain("tossed");
});
