// On a machine that is set up: a second set-up changes nothing and is quick; the home tree has the right owners.
import { mkdtemp, rm, stat, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { run } from "./command.ts";
import { prepareHome } from "./home.ts";
import { kernelFacts } from "./kernel.ts";
import { sallyportPaths } from "./paths.ts";
import { allNeeds, setUp } from "./setup.ts";
import { SYSTEM_USERS, systemUsers } from "./users.ts";

const QUICK_MS = 3_000;
let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "host-root-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

describe("set-up on a machine that has everything", () => {
  it("changes nothing, says nothing, and is quick", async () => {
    const told: string[] = [];
    const reporter = {
      begin: () => told.push("begin"),
      note: (line: string) => told.push(line),
      end: () => told.push("end"),
    };
    const startedAt = performance.now();
    const paths = sallyportPaths();
    const result = await setUp({ paths, mayInstall: false, reporter, needs: allNeeds(paths) });
    expect(result).toMatchObject({ ok: true, cured: [] });
    expect(told).toEqual([]);
    expect(performance.now() - startedAt).toBeLessThan(QUICK_MS);
  });
});

describe("kernelFacts", () => {
  it("tries the network in a namespace of its own, and leaves nothing in this one", async () => {
    const before = (await run("ip", ["-o", "link"])).stdout;
    const facts = await kernelFacts();
    expect(facts.cgroups?.version).toBeGreaterThan(0);
    expect(facts.network).toMatchObject({ networkNamespaces: true, veth: true, nftables: true });
    expect((await run("ip", ["-o", "link"])).stdout).toBe(before);
    expect((await run("nft", ["list", "tables"])).stdout).not.toContain("trial");
  });
});

describe("prepareHome", () => {
  it("gives each directory its owner and mode, and mends them", async () => {
    const { home } = sallyportPaths({ home: join(root, "home") });
    const users = await systemUsers();
    await prepareHome(home, users);
    await run("chmod", ["0777", home.api]);
    await prepareHome(home, users);
    const api = await stat(home.api);
    expect([api.mode & 0o7777, api.uid, api.gid]).toEqual([0o700, users.api.uid, users.api.gid]);
    const open = await stat(join(home.run, "gateway", "open"));
    expect([open.mode & 0o7777, open.uid]).toEqual([0o2750, users.gateway.uid]);
    const socket = await stat(home.postgresSocketDir);
    expect([socket.mode & 0o7777, socket.uid, socket.gid]).toEqual([0o2750, users.postgres.uid, users.api.gid]);
  });

  it("keeps each user out of the others' directories", async () => {
    // The parent must let them through, as /var/lib does.
    await run("chmod", ["0755", root]);
    const { home } = sallyportPaths({ home: join(root, "home") });
    await prepareHome(home, await systemUsers());
    const list = async (user: string, path: string) => (await run("setpriv", [...as(user), "ls", path])).exitCode === 0;
    expect(await list(SYSTEM_USERS.api, home.api)).toBe(true);
    expect(await list(SYSTEM_USERS.gateway, home.api)).toBe(false);
    expect(await list(SYSTEM_USERS.api, home.gateway)).toBe(false);
    expect(await list(SYSTEM_USERS.gateway, home.worker)).toBe(false);
    expect(await list(SYSTEM_USERS.gateway, home.postgresSocketDir)).toBe(false);
    expect(await list(SYSTEM_USERS.api, home.postgresSocketDir)).toBe(true);
  });

  it("refuses a link in the way of a directory", async () => {
    const { home } = sallyportPaths({ home: join(root, "home") });
    await prepareHome(home, await systemUsers());
    await rm(home.api, { recursive: true });
    await symlink("/etc", home.api);
    await expect(prepareHome(home, await systemUsers())).rejects.toMatchObject({ code: "Unsupported" });
    expect((await stat("/etc")).uid).toBe(0);
  });
});

function as(user: string): string[] {
  return [`--reuid=${user}`, `--regid=${user}`, "--clear-groups"];
}
