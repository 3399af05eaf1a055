// Who may come: the client's own address decides, at tunnels of either kind and with connect tokens.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Client } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";
import { CONNECT_APP } from "@sallyport/testkit/connect-app";
import { ask, tcpTo, tlsTo, tunnelApp } from "@sallyport/testkit/tunnel-app";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newWorkspace } from "./workspace.ts";

const exec = promisify(execFile);
let client: Client;
let folder: string;
beforeAll(async () => {
  client = (await newWorkspace("inbound")).client;
  folder = await mkdtemp(join(tmpdir(), "inbound-"));
});
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** Fetches from an address of the loopback: status, or how curl failed. */
async function statusFrom(source: string, url: string, caPem: string, ...more: readonly string[]): Promise<string> {
  const caFile = join(folder, "ca.pem");
  await writeFile(caFile, caPem);
  const usual = ["--silent", "--max-time", "20", "--cacert", caFile, "--interface", source, "-o", "/dev/null"];
  return exec("/usr/bin/curl", [...usual, "--write-out", "%{http_code}", ...more, url]).then(
    ({ stdout }) => stdout,
    () => "refused",
  );
}

describe("a sandbox with a list of addresses", () => {
  it("is reached from these, and from no other, by tunnels", async () => {
    await using sandbox = await Sandbox.create(tunnelApp("http:8000", "http:8001"), {
      client,
      encryptedPorts: [8_000],
      unencryptedPorts: [8_001],
      inboundCidrAllowlist: ["127.77.0.0/16"],
    });
    const { 8000: tls, 8001: raw } = await sandbox.tunnels();
    const ca = tls.caPem ?? "";
    for (const url of [tls.url, raw.url, `http://${raw.tcpSocket?.join(":")}/`]) {
      expect(await statusFrom("127.77.1.2", url, ca), url).toBe("200");
      expect(await statusFrom("127.78.1.2", url, ca), url).toBe("refused");
    }
  });

  it("is the same for connect tokens, whose proxy stands behind the other edge", async () => {
    await using sandbox = await Sandbox.create(["python3", "-c", CONNECT_APP], {
      client,
      inboundCidrAllowlist: ["127.77.0.0/16"],
    });
    const { caPem = "", token, url } = await sandbox.createConnectToken();
    const header = ["--header", `Authorization: Bearer ${token}`];
    expect(await statusFrom("127.77.1.2", `${url}/who`, caPem, ...header)).toBe("200");
    expect(await statusFrom("127.78.1.2", `${url}/who`, caPem, ...header)).toBe("403");
  });

  it("that is empty is nobody's, and without one it is everybody's", async () => {
    const create = (options: { readonly inboundCidrAllowlist?: readonly string[] }) =>
      Sandbox.create(tunnelApp("echo:7000"), { client, unencryptedPorts: [7_000], ...options });
    await using closed = await create({ inboundCidrAllowlist: [] });
    const { 7000: nobody } = await closed.tunnels();
    await expect(ask(tlsTo(nobody, nobody.caPem ?? ""), "x")).rejects.toThrow();
    expect(await ask(tcpTo(nobody), "x").catch(() => "")).toBe("");
    await using open = await create({});
    const { 7000: everybody } = await open.tunnels();
    expect(await ask(tcpTo(everybody), "x")).toBe("xbye");
  });
});
