import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { silentLogger } from "@sallyport/appkit/logger";
import type { Authority } from "@sallyport/testkit/certificates";
import { makeAuthority } from "@sallyport/testkit/certificates";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { TestDoor } from "../test/door.ts";
import { DOMAIN, sandbox, startDoor } from "../test/door.ts";
import { certificatesFromFiles } from "./certificate-files.ts";

const DAY_MS = 86_400_000;
const hostOf = (number: number) => `${sandbox(number)}.${DOMAIN}`;
const until = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 5 });

/** The certificate that a client gets; undefined: none. */
async function shown({ authority, port }: TestDoor, servername: string): Promise<X509Certificate | undefined> {
  const socket = connect({ host: "127.0.0.1", port, servername, ca: authority.pem });
  try {
    await once(socket, "data"); // the door's word: both have finished
    return socket.getPeerX509Certificate();
  } catch {
    return undefined; // an alert, as the test expects it
  } finally {
    socket.destroy();
  }
}

async function folder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "certs-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

describe("LocalCertificates", () => {
  it("asks ahead for routes as they appear, once, and not for ended ones", async () => {
    await using door = await startDoor();
    await door.know(1);
    await door.know(2, "ended");
    await door.know(1);
    await until(() => expect(door.certificates.peek(hostOf(1))).toBeDefined());
    await shown(door, hostOf(1));
    expect(door.api.certified).toEqual([hostOf(1)]);
  });

  it("asks once for whoever comes at the same time", async () => {
    await using door = await startDoor();
    const all = await Promise.all(Array.from({ length: 8 }, () => shown(door, hostOf(1))));
    expect(all.every((certificate) => certificate?.subjectAltName === `DNS:${hostOf(1)}`)).toBe(true);
    expect(door.api.certified).toEqual([hostOf(1)]);
  });

  it("serves known hosts while the api is down, also after a restart, with the same key", async () => {
    const directory = await folder();
    const authority = await makeAuthority();
    let fingerprint: string | undefined;
    {
      await using door = await startDoor({ directory, authority });
      await door.know(1);
      await until(() => expect(door.certificates.peek(hostOf(1))).toBeDefined());
      await door.api.stop();
      fingerprint = (await shown(door, hostOf(1)))?.fingerprint256;
      expect(fingerprint).toBeDefined();
    }
    await using again = await startDoor({ directory, authority, isApiDown: true, knows: [1] });
    expect((await shown(again, hostOf(1)))?.fingerprint256).toBe(fingerprint);
    // Nothing is known of this one, and nobody can vouch for it now.
    expect(await shown(again, hostOf(2))).toBeUndefined();
    expect(again.refused).toEqual(["certificate"]);
    for (const name of ["tls-key.pem", `certificates/${hostOf(1)}.pem`]) {
      expect(statSync(join(directory, name)).mode & 0o777, name).toBe(0o600);
    }
  });

  it("bounds certificates for sandboxes that nobody knows, and keeps none of them", async () => {
    let nowMs = Date.now();
    await using door = await startDoor({ now: () => nowMs });
    await door.know(1);
    await until(() => expect(door.api.certified).toEqual([hostOf(1)]));
    for (let number = 100; number < 140; number += 1) await shown(door, hostOf(number));
    expect(door.refused).toEqual(Array.from({ length: 8 }, () => "certificate")); // 40 less the 32 that go at once
    expect(await shown(door, hostOf(1))).toBeDefined();
    nowMs += 1_000;
    expect(await shown(door, hostOf(140))).toBeDefined();
    await door.certificates[Symbol.asyncDispose]();
    expect(readdirSync(join(door.directory, "certificates"))).toEqual([`${hostOf(1)}.pem`]);
  });

  it("asks ahead again once the api is there", async () => {
    await using door = await startDoor({ isApiDown: true, knows: [1, 2] });
    await shown(door, hostOf(1));
    expect(door.refused).toEqual(["certificate"]);
    await door.api.start();
    await until(() => expect([...door.api.certified].sort()).toEqual([hostOf(1), hostOf(2)]));
  });

  it("forgets the certificate of a route that is gone", async () => {
    let nowMs = Date.now();
    await using door = await startDoor({ now: () => nowMs });
    await door.know(1);
    await until(() => expect(door.certificates.peek(hostOf(1))).toBeDefined());
    await door.know(1, "ended");
    expect(door.certificates.peek(hostOf(1))).toBeDefined(); // it says for an hour that it has ended
    nowMs += 3_600_000;
    door.table.forgetWhatIsOver();
    expect(door.certificates.peek(hostOf(1))).toBeUndefined();
  });

  it("asks again for one that has expired, and not before", async () => {
    let nowMs = Date.now();
    await using door = await startDoor({ now: () => nowMs });
    await door.know(1);
    await until(() => expect(door.certificates.peek(hostOf(1))).toBeDefined());
    nowMs += 7 * DAY_MS - 60_000;
    expect(door.certificates.peek(hostOf(1))).toBeDefined();
    nowMs += 120_000; // it was issued somewhat later than the clock says that stands still
    expect(door.certificates.peek(hostOf(1))).toBeUndefined();
  });

  it("renews before the end when it hears of the route", async () => {
    let nowMs = Date.now();
    await using door = await startDoor({ now: () => nowMs });
    await door.know(1);
    await until(() => expect(door.certificates.peek(hostOf(1))).toBeDefined());
    nowMs += 4 * DAY_MS;
    await door.know(1);
    await door.know(2);
    await until(() => expect(door.api.certified).toHaveLength(2));
    nowMs += DAY_MS;
    await door.know(1);
    await until(() => expect(door.api.certified).toEqual([hostOf(1), hostOf(2), hostOf(1)]));
  });

  it.each<[string, (authority: Authority, publicKey: Uint8Array) => Promise<string>]>([
    ["for another host", (authority, publicKey) => authority.certify([hostOf(2)], publicKey)],
    ["for more hosts", (authority, publicKey) => authority.certify([hostOf(1), hostOf(2)], publicKey)],
    ["for another key", async (authority) => (await authority.issue([hostOf(1)])).cert],
    [
      "that has expired",
      (authority, publicKey) => authority.certify([hostOf(1)], publicKey, new Date(Date.now() - 1_000)),
    ],
    ["that is none", async () => "no certificate"],
  ])("uses no certificate %s", async (_name, certify) => {
    const authority = await makeAuthority();
    const wrong = { ...authority, certify: (_hosts: unknown, publicKey: Uint8Array) => certify(authority, publicKey) };
    await using door = await startDoor({ authority: wrong });
    expect(await shown(door, hostOf(1))).toBeUndefined();
    expect(door.refused).toEqual(["certificate"]);
  });

  it("makes a damaged key anew, and asks for certificates again", async () => {
    const directory = await folder();
    {
      await using door = await startDoor({ directory });
      await door.know(1);
      await until(() => expect(door.certificates.peek(hostOf(1))).toBeDefined());
    }
    writeFileSync(join(directory, "tls-key.pem"), "damaged");
    writeFileSync(join(directory, "certificates", `${hostOf(3)}.pem`), "damaged");
    writeFileSync(join(directory, "certificates", "stray"), "");
    await using again = await startDoor({ directory, knows: [1] });
    await until(() => expect(again.api.certified).toEqual([hostOf(1)]));
    expect(await shown(again, hostOf(1))).toBeDefined();
    await again.certificates[Symbol.asyncDispose]();
    expect(readdirSync(join(directory, "certificates"))).toEqual([`${hostOf(1)}.pem`]);
  });
});

describe("certificatesFromFiles", () => {
  async function files() {
    const directory = await folder();
    const authority = await makeAuthority();
    const paths = { chain: join(directory, "chain.pem"), key: join(directory, "key.pem") };
    const put = async (name: string) => {
      const issued = await authority.issue([name]);
      writeFileSync(paths.key, issued.key);
      writeFileSync(paths.chain, issued.cert);
      return new X509Certificate(issued.cert).fingerprint256;
    };
    const options = {
      ...paths,
      domain: "connect.example.com",
      setting: "SALLYPORT_CONNECT_CERT",
      logger: silentLogger,
      lookEveryMs: 10,
    };
    return { authority, options, put };
  }

  it("serves every host with one certificate, and takes up another when the files change", async () => {
    const { authority, options, put } = await files();
    const first = await put("*.connect.example.com");
    const certificates = certificatesFromFiles(options);
    await using door = await startDoor({ certificates, authority, domain: "connect.example.com" });
    const fingerprint = async (number: number) =>
      (await shown(door, `${sandbox(number)}.connect.example.com`))?.fingerprint256;
    expect([await fingerprint(1), await fingerprint(2)]).toEqual([first, first]);
    writeFileSync(options.chain, "half-writ");
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await fingerprint(1)).toBe(first);
    const second = await put("*.connect.example.com");
    await vi.waitFor(async () => expect(await fingerprint(1)).toBe(second), { timeout: 10_000 });
  });

  it("refuses to start without files that fit", async () => {
    const { options, put } = await files();
    expect(() => certificatesFromFiles(options)).toThrow("ENOENT");
    await put("connect.example.com");
    expect(() => certificatesFromFiles(options)).toThrow(
      "SALLYPORT_CONNECT_CERT: the certificate is not for *.connect",
    );
    await put("*.connect.example.com");
    const other = await files();
    await other.put("*.connect.example.com");
    expect(() => certificatesFromFiles({ ...options, key: other.options.key })).toThrow("mismatch");
  });
});
