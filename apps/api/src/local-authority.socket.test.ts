// The authority of the connect domain: what it vouches for, to real TLS peers, and what it cannot.
import { createPrivateKey, generateKeyPairSync, webcrypto, X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
// What the library's container needs, before the library.
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { callUnary } from "@sallyport/contracts/grpc";
import { RestClient } from "@sallyport/testkit/rest-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TestApi } from "../test/fixtures.ts";
import { makeWorkspace, refusal, startTestApi } from "../test/fixtures.ts";
import { loadMasterKey } from "./services/master-key.ts";

const DAY_MS = 86_400_000;
const HOST = "sb-01jd0000000000000000000000.localhost";

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api[Symbol.asyncDispose]());

const pair = (namedCurve = "P-256") => generateKeyPairSync("ec", { namedCurve });
const spki = ({ publicKey }: ReturnType<typeof pair>) => publicKey.export({ format: "der", type: "spki" });
const pem = ({ privateKey }: ReturnType<typeof pair>) => privateKey.export({ format: "pem", type: "pkcs8" }).toString();
const issue = (host: string, publicKey: Uint8Array, on: TestApi = api, edgeId = "edge") =>
  callUnary(on.edges, on.edges.issueCertificate, { edgeId, host, publicKey: Buffer.from(publicKey) });
const authority = (on: TestApi = api) => callUnary(on.admin, on.admin.getLocalAuthority, {});

/** The error of a TLS client that trusts this authority, at a server with this certificate; "ok" for none. */
async function handshake(options: { cert: string; key: string; ca: string; servername: string }): Promise<string> {
  const server = createServer({ cert: options.cert, key: options.key }).on("tlsClientError", () => {});
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const { ca, servername } = options;
  const socket = connect({ host: "127.0.0.1", port, ca, servername });
  try {
    return await new Promise<string>((resolve) => {
      socket.once("secureConnect", () => resolve("ok"));
      socket.once("error", (error: Error) => resolve(error.message));
    });
  } finally {
    socket.destroy();
    server.close();
  }
}

describe("the local authority", () => {
  it("vouches for a host, with a key that is the edge's own", async () => {
    const keys = pair();
    const { certificatePem, expiresAt } = await issue(HOST, spki(keys));
    const { certificatePem: ca, fingerprint, domains } = await authority();
    expect(domains).toEqual(["localhost"]);
    const root = new X509Certificate(ca);
    expect(root.fingerprint256.replaceAll(":", "").toLowerCase()).toBe(fingerprint);
    expect(root.ca).toBe(true);
    const leaf = new X509Certificate(certificatePem);
    expect(leaf.ca).toBe(false);
    expect(leaf.subjectAltName).toBe(`DNS:${HOST}`);
    expect(leaf.checkPrivateKey(keys.privateKey)).toBe(true);
    expect(leaf.checkIssued(root)).toBe(true);
    expect(leaf.verify(root.publicKey)).toBe(true);
    expect(leaf.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
    expect(new Date(leaf.validTo)).toEqual(new Date(Math.floor((expiresAt?.getTime() ?? 0) / 1_000) * 1_000));
    expect(leaf.validToDate.getTime() - leaf.validFromDate.getTime()).toBeLessThanOrEqual(7 * DAY_MS);
    const tls = { cert: certificatePem, key: pem(keys), ca };
    expect(await handshake({ ...tls, servername: HOST })).toBe("ok");
    expect(await handshake({ ...tls, servername: "sb-01jd0000000000000000000001.localhost" })).toMatch(/altnames/);
    const again = new X509Certificate((await issue(HOST, spki(keys))).certificatePem);
    expect(again.serialNumber).not.toBe(leaf.serialNumber);
  });

  it("cannot vouch for another name, an address or another authority, whoever has its key", async () => {
    const { certificatePem: ca } = await authority();
    const master = await loadMasterKey(api.config.stateDir);
    const [row] = await api.sql("SELECT fingerprint, sealed_private_key FROM authorities");
    const der = master.open(row?.["sealed_private_key"] as Buffer, `authority ${String(row?.["fingerprint"])}`);
    const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
    const signingKey = await webcrypto.subtle.importKey("pkcs8", der, algorithm, true, ["sign"]);
    expect(createPrivateKey({ key: der, format: "der", type: "pkcs8" }).asymmetricKeyType).toBe("ec");
    const forge = async (names: x509.JsonGeneralNames) => {
      const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
      const leaf = await x509.X509CertificateGenerator.create({
        subject: "",
        issuer: new x509.X509Certificate(ca).subject,
        notBefore: new Date(Date.now() - DAY_MS),
        notAfter: new Date(Date.now() + DAY_MS),
        publicKey: keys.publicKey,
        signingKey,
        signingAlgorithm: algorithm,
        extensions: [new x509.SubjectAlternativeNameExtension(names, true)],
      });
      const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
      const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8.replace(/.{64}/g, "$&\n")}\n-----END PRIVATE KEY-----\n`;
      return { cert: leaf.toString("pem"), key, ca };
    };
    const inside = await forge([{ type: "dns", value: "anything.localhost" }]);
    expect(await handshake({ ...inside, servername: "anything.localhost" })).toBe("ok");
    const outside = await forge([{ type: "dns", value: "api.example.com" }]);
    expect(await handshake({ ...outside, servername: "api.example.com" })).toBe("permitted subtree violation");
    const both = await forge([
      { type: "dns", value: HOST },
      { type: "dns", value: "notlocalhost" },
    ]);
    expect(await handshake({ ...both, servername: HOST })).toBe("permitted subtree violation");
    const address = await forge([{ type: "ip", value: "198.51.100.7" }]);
    expect(await handshake({ ...address, servername: "" })).toBe("excluded subtree violation");
  });

  it.each([
    "localhost",
    "example.com",
    "sb-01jd0000000000000000000000",
    "sb-01jd0000000000000000000000.",
    "sb-01jd0000000000000000000000.localhost.",
    "sb-01jd0000000000000000000000.example.com",
    "sb-01jd0000000000000000000000.localhost.example.com",
    "x.sb-01jd0000000000000000000000.localhost",
    "SB-01JD0000000000000000000000.localhost",
    "sb-01jd0000000000000000000000.LOCALHOST",
    "in-01jd0000000000000000000000.localhost",
    "*.localhost",
    "sb-01jd0000000000000000000000.localhost\0.example.com",
    "sb-01jd0000000000000000000000.localhost:443",
    "",
    "127.0.0.1",
    `${"a".repeat(70_000)}.localhost`,
  ])("refuses the host %s", async (host) => {
    expect(await refusal(issue(host, spki(pair())))).toMatchObject({ code: "InvalidArgument", field: "host" });
  });

  it("refuses what is no P-256 key", async () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 }).publicKey.export({ format: "der", type: "spki" });
    const ed = generateKeyPairSync("ed25519").publicKey.export({ format: "der", type: "spki" });
    const good = spki(pair());
    const privateKey = pair().privateKey.export({ format: "der", type: "pkcs8" });
    for (const key of [
      rsa,
      ed,
      spki(pair("P-384")),
      Buffer.alloc(0),
      good.subarray(1),
      Buffer.concat([good, good]),
      privateKey,
    ]) {
      expect(await refusal(issue(HOST, key))).toMatchObject({ code: "InvalidArgument", field: "public_key" });
    }
    expect(await refusal(issue(HOST, good, api, "no/edge"))).toMatchObject({
      code: "InvalidArgument",
      field: "edge_id",
    });
  });

  it("tells strangers nothing of which sandboxes there are, and serves no flood of them", {
    timeout: 60_000,
  }, async () => {
    await using flooded = await startTestApi();
    const key = spki(pair());
    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, number) =>
        issue(`sb-01jd0000000000000000000${String(number).padStart(3, "0")}.localhost`, key, flooded).then(
          () => "issued",
          (error: { code: number }) => error.code,
        ),
      ),
    );
    expect(answers.filter((answer) => answer === "issued").length).toBeGreaterThanOrEqual(100);
    expect(answers.filter((answer) => answer === 8).length).toBeGreaterThan(0);
    expect(answers.every((answer) => answer === "issued" || answer === 8)).toBe(true);
  });

  it("is the same after a restart, another for another domain, and shown to workspaces", async () => {
    const first = await startTestApi();
    const before = await authority(first);
    const again = await first.restart();
    expect(await authority(again)).toEqual(before);
    const { token } = await makeWorkspace(again, "reader");
    const answer = await new RestClient(again.api.httpPort).call("GET", "/v1/local-authority", { token });
    expect(answer.json).toEqual(before);
    expect(JSON.stringify(await again.sql("SELECT authorities::text AS row FROM authorities"))).not.toContain(
      "PRIVATE",
    );
    await again[Symbol.asyncDispose]();
  });

  it("is none where the operator has certificates", async () => {
    const connectConfig = { ...api.config.connect, domain: "connect.example.com", isLocal: false };
    const tunnels = { ...api.config.tunnels, domain: "tunnels.example.net", isLocal: false };
    await using other = await startTestApi({ connect: connectConfig, tunnels });
    expect(await refusal(authority(other))).toMatchObject({ code: "FailedPrecondition" });
    expect(await refusal(issue(HOST, spki(pair()), other))).toMatchObject({ code: "FailedPrecondition" });
  });
});
