// What opens the resolver's sockets: in a network namespace of the test's own, for a program outside of it.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sanitized } from "./build.ts";

const NAMESPACE = `sp-sockets-test-${process.pid}`;
const PATH = `/run/netns/${NAMESPACE}`;
const UID = 64_125;
const PROGRAM = sanitized("sallyport-resolver-sockets");

beforeAll(() => {
  execFileSync("ip", ["netns", "add", NAMESPACE]);
  execFileSync("ip", ["-n", NAMESPACE, "link", "set", "lo", "up"]);
});

afterAll(() => {
  execFileSync("ip", ["netns", "delete", NAMESPACE]);
});

interface Told {
  readonly namespace: string;
  readonly uid: number;
  readonly capabilities: string;
  readonly noNewPrivileges: string;
  readonly sockets: readonly { readonly isSocket: boolean; readonly uid: number }[];
  readonly open: readonly string[];
}

/** What a program that was run so says of itself. */
const TELL = `
const { fstatSync, readdirSync, readFileSync, readlinkSync } = require("node:fs");
const status = readFileSync("/proc/self/status", "latin1");
const line = (name) => new RegExp("^" + name + ":\\\\s*(.*)$", "m").exec(status)[1];
console.log(JSON.stringify({
  namespace: readlinkSync("/proc/self/ns/net"),
  uid: process.getuid(),
  capabilities: line("CapPrm") + line("CapEff") + line("CapBnd") + line("CapAmb"),
  noNewPrivileges: line("NoNewPrivs"),
  sockets: process.env.SALLYPORT_RESOLVER_SOCKETS.split(",").map(Number).map((fd) => {
    const stat = fstatSync(fd);
    return { isSocket: stat.isSocket(), uid: stat.uid };
  }),
  open: readdirSync("/proc/self/fd").map((fd) => {
    try { return readlinkSync("/proc/self/fd/" + fd); } catch { return ""; }
  }),
}));
`;

function run(options: readonly string[], program: readonly string[] = [process.execPath, "-e", TELL]) {
  const { status, stdout, stderr } = spawnSync(PROGRAM, [...options, "--", ...program], { encoding: "utf8" });
  return { status, stdout, stderr };
}

const OPTIONS = [`--net=${PATH}`, `--uid=${UID}`];

describe("the program that is run", () => {
  it("is outside, with four sockets of the user's and nothing of the namespace's", () => {
    const { status, stdout, stderr } = run(OPTIONS);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const told = JSON.parse(stdout) as Told;
    expect(told.namespace).toBe(readlinkSync("/proc/self/ns/net"));
    expect(told.uid).toBe(0);
    expect(told.sockets).toEqual(Array.from({ length: 4 }, () => ({ isSocket: true, uid: UID })));
    expect(told.open.filter((name) => name.startsWith("net:") || name.includes(NAMESPACE))).toEqual([]);
  });

  it("is an unprivileged user's where its arguments say so, for good", () => {
    const user = ["setpriv", `--reuid=${UID}`, `--regid=${UID}`, "--clear-groups", "--no-new-privs"];
    // Read by everybody: the test's own Node may lie where only root can go.
    const program = ["--bounding-set=-all", "--inh-caps=-all", "cat", "/proc/self/status"];
    const { stdout } = run(OPTIONS, [...user, ...program]);
    const value = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, "m").exec(stdout)?.[1];
    expect(value("Uid")?.split(/\s+/)).toEqual(Array.from({ length: 4 }, () => String(UID)));
    for (const set of ["CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb"]) expect(value(set)).toMatch(/^0+$/);
    expect(value("NoNewPrivs")).toBe("1");
  });

  it("gives its exit status", () => {
    expect(run(OPTIONS, ["sh", "-c", "exit 7"]).status).toBe(7);
    const missing = run(OPTIONS, ["/nonexistent"]);
    expect(missing.status).toBe(127);
    expect(missing.stderr).toContain("cannot start");
    expect(run(OPTIONS, ["/etc/passwd"]).status).toBe(126);
  });

  it("is run only if all four sockets could be had", async () => {
    const holder = spawn(PROGRAM, [...OPTIONS, "--", "sh", "-c", "echo up; exec sleep 60"]);
    await once(holder.stdout, "data");
    const { status, stdout, stderr } = run(OPTIONS, ["echo", "ran"]);
    holder.kill("SIGKILL");
    await once(holder, "close");
    expect({ status, stdout }).toEqual({ status: 125, stdout: "" });
    expect(stderr).toContain("cannot bind UDP: Address already in use");
    expect(run(OPTIONS, ["echo", "ran"]).stdout).toBe("ran\n");
  });
});

describe("the sockets", () => {
  it("are bound in the namespace, at every address of both families", async () => {
    const holder = spawn(PROGRAM, [...OPTIONS, "--port=5353", "--", "sh", "-c", "echo up; exec sleep 60"]);
    await once(holder.stdout, "data");
    const inside = execFileSync("nsenter", [`--net=${PATH}`, "cat", "/proc/net/udp", "/proc/net/udp6"], {
      encoding: "utf8",
    });
    const outside = execFileSync("cat", ["/proc/net/udp", "/proc/net/udp6"], { encoding: "utf8" });
    holder.kill("SIGKILL");
    await once(holder, "close");
    expect(inside.match(/ 0+:14E9 /g)).toHaveLength(2);
    expect(outside).not.toMatch(new RegExp(` 0+:14E9 .* ${UID} `));
  });
});

describe("arguments that are wrong", () => {
  it.each([
    ["no namespace", [`--uid=${UID}`]],
    ["no user", [`--net=${PATH}`]],
    ["root as user", [`--net=${PATH}`, "--uid=0"]],
    ["a user that is no number", [`--net=${PATH}`, "--uid=12x"]],
    ["a user that cannot be", [`--net=${PATH}`, "--uid=4294967295"]],
    ["a port that cannot be", [...OPTIONS, "--port=65536"]],
    ["an unknown option", [...OPTIONS, "--more"]],
  ])("%s", (_, options) => {
    const { status, stdout, stderr } = run(options, ["echo", "ran"]);
    expect({ status, stdout }).toEqual({ status: 125, stdout: "" });
    expect(stderr).toContain("usage:");
  });

  it("a namespace that is none", () => {
    const program = ["echo", "ran"];
    expect(run([`--net=${PATH}-gone`, `--uid=${UID}`], program)).toMatchObject({ status: 125, stdout: "" });
    expect(run(["--net=/proc/self/ns/uts", `--uid=${UID}`], program)).toMatchObject({ status: 125, stdout: "" });
  });

  it("no program", () => {
    expect(spawnSync(PROGRAM, OPTIONS).status).toBe(125);
    expect(spawnSync(PROGRAM, [...OPTIONS, "--"]).status).toBe(125);
  });
});
