// Which sessions are resumed: of this host, within the hour, at whatever process; and never any early data.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SecureVersion } from "node:tls";
import { promisify } from "node:util";
import { silentLogger } from "@sallyport/appkit/logger";
import type { Authority } from "@sallyport/testkit/certificates";
import { makeAuthority } from "@sallyport/testkit/certificates";
import { describe, expect, it, onTestFinished } from "vitest";
import { dial } from "../test/clients.ts";
import type { TestDoor } from "../test/door.ts";
import { DOMAIN, sandbox, startDoor } from "../test/door.ts";
import { certificatesFromFiles } from "./certificate-files.ts";
import { LOOK_AT_TICKETS_MS, TICKET_PERIOD_MS } from "./edge-limits.ts";
import { TicketKeys } from "./ticket-keys.ts";

const hostOf = (number: number) => `${sandbox(number)}.${DOMAIN}`;
/** One certificate is for all of its hosts. */
const WIDE = "connect.example";
const VERSIONS: readonly SecureVersion[] = ["TLSv1.2", "TLSv1.3"];
const run = promisify(execFile);

async function folder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "tickets-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return join(directory, "tickets");
}

/** A clock that tests turn, and keys of a folder by it. */
function keysOf(directory: string, clock: { nowMs: number } = { nowMs: Date.now() }): TicketKeys {
  const keys = new TicketKeys({ directory, now: () => clock.nowMs, logger: silentLogger });
  onTestFinished(() => keys[Symbol.dispose]());
  return keys;
}

/** Whether a session is resumed; and the session that the door gives. */
async function visit(door: TestDoor, servername: string, version: SecureVersion, session?: Buffer) {
  const socket = dial(door, {
    servername,
    minVersion: version,
    maxVersion: version,
    ...(session === undefined ? {} : { session }),
  });
  const given = Promise.withResolvers<Buffer>();
  socket.once("session", given.resolve);
  await new Promise((resolve, reject) => {
    socket.once("data", resolve).once("error", reject);
    socket.once("close", () => reject(new Error(door.refused.at(-1))));
  });
  const isResumed = socket.isSessionReused();
  // One that is resumed is given no further ticket: it has until its hour is over.
  const next = isResumed ? (session ?? Buffer.alloc(0)) : await given.promise;
  socket.destroy();
  return { isResumed, session: next };
}

describe.each(VERSIONS)("a session of %s", (version) => {
  it("is resumed at the same host by any process that shares the folder", async () => {
    const directory = await folder();
    const authority = await makeAuthority();
    await using one = await startDoor({ authority, tickets: keysOf(directory) });
    await using other = await startDoor({ authority, tickets: keysOf(directory) });
    await using stranger = await startDoor({ authority, tickets: keysOf(await folder()) });
    const first = await visit(one, hostOf(1), version);
    expect(first.isResumed).toBe(false);
    for (const door of [one, other]) {
      expect((await visit(door, hostOf(1), version, first.session)).isResumed).toBe(true);
    }
    expect((await visit(stranger, hostOf(1), version, first.session)).isResumed).toBe(false);
  });

  it("is resumed at no other host", async () => {
    await using door = await startDoor({ tickets: keysOf(await folder()) });
    const { session } = await visit(door, hostOf(1), version);
    expect((await visit(door, hostOf(2), version, session)).isResumed).toBe(false);
    expect((await visit(door, hostOf(1), version, session)).isResumed).toBe(true);
  });

  it("is resumed at no other host of the same certificate, and at none that is not known", async () => {
    for (const tickets of [keysOf(await folder()), undefined]) {
      const { authority, certificates } = await wildcard(tickets);
      await using door = await startDoor({ authority, certificates, domain: WIDE });
      const at = (number: number, session?: Buffer) => visit(door, `${sandbox(number)}.${WIDE}`, version, session);
      const { session } = await at(1);
      expect((await at(2, session)).isResumed).toBe(false);
      expect((await at(1, session)).isResumed).toBe(true);
      const unknown = await at(9);
      expect((await at(9, unknown.session)).isResumed).toBe(false);
      expect((await at(1, unknown.session)).isResumed).toBe(false);
    }
  });

  it("is not resumed when its hour is over, and the next one's is", async () => {
    const clock = { nowMs: Date.now() };
    const directory = await folder();
    await using door = await startDoor({ tickets: keysOf(directory, clock) });
    const { session } = await visit(door, hostOf(1), version);
    clock.nowMs += TICKET_PERIOD_MS;
    const next = await visit(door, hostOf(1), version, session);
    expect(next.isResumed).toBe(false);
    expect((await visit(door, hostOf(1), version, next.session)).isResumed).toBe(true);
    expect(readdirSync(directory)).toEqual([`${Math.floor(clock.nowMs / TICKET_PERIOD_MS)}.key`]);
  });
});

async function wildcard(tickets: TicketKeys | undefined): Promise<{
  authority: Authority;
  certificates: ReturnType<typeof certificatesFromFiles>;
}> {
  const directory = await mkdtemp(join(tmpdir(), "wildcard-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const authority = await makeAuthority();
  const { cert, key } = await authority.issue([`*.${WIDE}`]);
  const [chain, keyPath] = [join(directory, "chain.pem"), join(directory, "key.pem")];
  writeFileSync(chain, cert);
  writeFileSync(keyPath, key);
  const known = new Set([1, 2].map((number) => `${sandbox(number)}.${WIDE}`));
  const certificates = certificatesFromFiles({
    chain,
    key: keyPath,
    domain: WIDE,
    setting: "CERT",
    isKnown: (host) => known.has(host),
    tickets,
    logger: silentLogger,
  });
  return { authority, certificates };
}

describe("early data", () => {
  it("is never offered, nor taken", async () => {
    const directory = await folder();
    await using door = await startDoor({ tickets: keysOf(directory) });
    const session = join(directory, "..", "session.pem");
    const connect = ["s_client", "-connect", `127.0.0.1:${door.port}`, "-servername", hostOf(1), "-tls1_3"];
    const said = async (more: readonly string[]) => {
      const client = spawn("openssl", [...connect, ...more], { stdio: ["pipe", "pipe", "ignore"] });
      const closed = once(client, "close");
      let stdout = "";
      for await (const piece of client.stdout.setEncoding("utf8")) {
        stdout += String(piece);
        // The door's word comes behind its tickets.
        if (stdout.includes(`hello ${hostOf(1)}`) && !client.stdin.writableEnded) client.stdin.end("Q\n");
      }
      await closed;
      return stdout;
    };
    await said(["-sess_out", session]);
    const { stdout: text } = await run("openssl", ["sess_id", "-in", session, "-text", "-noout"]);
    expect(text).toContain("Max Early Data: 0");
    writeFileSync(join(directory, "..", "data"), "GET / HTTP/1.1\r\n\r\n");
    const again = await said(["-sess_in", session, "-early_data", join(directory, "..", "data")]);
    expect(again).toContain("Reused, TLSv1.3");
    expect(again).toContain("Early data was not sent");
  });
});

describe("the folder", () => {
  it("and what is in it are their user's alone, and hold this hour's secret, not the keys", async () => {
    const directory = await folder();
    const clock = { nowMs: 5 * TICKET_PERIOD_MS };
    const keys = keysOf(directory, clock);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(readdirSync(directory)).toEqual(["5.key"]);
    expect(statSync(join(directory, "5.key")).mode & 0o777).toBe(0o600);
    const secret = readFileSync(join(directory, "5.key"));
    expect(secret).toHaveLength(32);
    const { ticketKeys } = keys.settingsFor(hostOf(1));
    expect(ticketKeys).toHaveLength(48);
    expect(ticketKeys?.includes(secret.subarray(0, 8))).toBe(false);
    expect(ticketKeys).not.toEqual(keys.settingsFor(hostOf(2)).ticketKeys);
  });

  it("is one truth for processes that come at the same time, and keeps nothing of the past", async () => {
    const directory = await folder();
    const clock = { nowMs: 7 * TICKET_PERIOD_MS };
    const all = Array.from({ length: 8 }, () => keysOf(directory, clock));
    for (let hour = 0; hour < 3; hour += 1) {
      expect(new Set(all.map((one) => String(one.settingsFor("a").ticketKeys?.toString("hex")))).size).toBe(1);
      expect(readdirSync(directory)).toEqual([`${7 + hour}.key`]);
      clock.nowMs += TICKET_PERIOD_MS;
      for (const one of all) one.turn();
    }
  });

  it("tells of each turn once", async () => {
    const clock = { nowMs: 0 };
    const keys = keysOf(await folder(), clock);
    let turns = 0;
    using _ = keys.onTurn(() => {
      turns += 1;
    });
    keys.turn();
    clock.nowMs += TICKET_PERIOD_MS - 1;
    keys.turn();
    expect(turns).toBe(0);
    clock.nowMs += 1;
    keys.turn();
    keys.turn();
    expect(turns).toBe(1);
  });

  it("is not believed where it is not their user's alone", async () => {
    const directory = await folder();
    mkdirSync(directory, { mode: 0o750 });
    chmodSync(directory, 0o750);
    expect(() => keysOf(directory)).toThrow("must be a folder of this user's alone");
    chmodSync(directory, 0o700);
    const clock = { nowMs: 9 * TICKET_PERIOD_MS };
    writeFileSync(join(directory, "9.key"), Buffer.alloc(32), { mode: 0o644 });
    chmodSync(join(directory, "9.key"), 0o644);
    keysOf(directory, clock);
    expect(readFileSync(join(directory, "9.key"))).not.toEqual(Buffer.alloc(32));
    writeFileSync(join(directory, "9.key"), "short", { mode: 0o600 });
    keysOf(directory, clock);
    expect(readFileSync(join(directory, "9.key"))).toHaveLength(32);
  });

  it("loses what a killed process has left, and nothing that is just being made", async () => {
    const directory = await folder();
    mkdirSync(directory, { mode: 0o700 });
    for (const name of ["old.new", "young.new", "notes"]) writeFileSync(join(directory, name), "");
    const longAgo = new Date(Date.now() - 2 * LOOK_AT_TICKETS_MS);
    utimesSync(join(directory, "old.new"), longAgo, longAgo);
    keysOf(directory, { nowMs: 0 });
    expect(readdirSync(directory).sort()).toEqual(["0.key", "notes", "young.new"]);
  });

  it("may be away: then a process has keys of its own", async () => {
    const directory = await folder();
    const clock = { nowMs: 0 };
    const [one, other] = [keysOf(directory, clock), keysOf(directory, clock)];
    await rm(directory, { recursive: true });
    clock.nowMs += TICKET_PERIOD_MS;
    for (const keys of [one, other]) keys.turn();
    expect(one.settingsFor("a").ticketKeys).toHaveLength(48);
    expect(one.settingsFor("a").ticketKeys).not.toEqual(other.settingsFor("a").ticketKeys);
  });
});
