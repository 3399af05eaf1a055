// Judging a machine by its facts: platform, cgroups, kernel, runsc, users.
import { describe, expect, it } from "vitest";
import type { KernelFacts } from "./kernel.ts";
import { judgeKernel, parseCgroupLayout } from "./kernel.ts";
import { judgeLocalhostNames, parseAhosts } from "./localhost-names.ts";
import type { PlatformFacts } from "./platform.ts";
import { judgePlatform, osReleaseValue } from "./platform.ts";
import { mustHideNetSysctls, parseRunscVersion } from "./runsc.ts";
import { EDGE_GROUP, judgeUsers, parseUser, SYSTEM_USERS } from "./users.ts";

const debian: PlatformFacts = {
  os: "linux",
  arch: "x64",
  osRelease: 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
  hasApt: true,
  isRoot: true,
};

describe("judgePlatform", () => {
  it("accepts Debian as root", () => {
    expect(judgePlatform(debian)).toMatchObject({ state: "ok", found: "Debian GNU/Linux 12 (bookworm), x64" });
  });

  it("refuses what no installing can mend, and offers no cure to apply", () => {
    for (const facts of [
      { ...debian, os: "darwin" },
      { ...debian, arch: "riscv64" },
    ]) {
      const finding = judgePlatform(facts);
      expect(finding.state).toBe("broken");
      expect(finding.cure?.apply).toBeUndefined();
    }
  });

  it("warns where nothing may be installed", () => {
    expect(judgePlatform({ ...debian, isRoot: false }).state).toBe("warning");
    expect(judgePlatform({ ...debian, hasApt: false, osRelease: "" }).state).toBe("warning");
  });

  it("reads os-release with and without quotes", () => {
    expect(osReleaseValue("ID=debian\n", "ID")).toBe("debian");
    expect(osReleaseValue("VERSION_ID=12", "ID")).toBeUndefined();
  });
});

const line = (path: string, type: string, options: string) =>
  `29 24 0:25 / ${path} rw,relatime - ${type} none rw,${options}`;

describe("parseCgroupLayout", () => {
  const v1 = ["memory", "cpu", "pids", "freezer"].map((one) => line(`/sys/fs/cgroup/${one}`, "cgroup", one));

  it("takes version 1 where its four controllers are mounted, beside an empty unified tree", () => {
    const info = [...v1, line("/sys/fs/cgroup/unified", "cgroup2", "nsdelegate")].join("\n");
    const layout = parseCgroupLayout(info, "");
    expect(layout).toMatchObject({ version: 1, mounts: { memory: "/sys/fs/cgroup/memory" } });
  });

  it("finds a controller that is mounted together with another", () => {
    const info = [
      ...v1.filter((one) => !one.includes("cgroup/cpu ")),
      line("/sys/fs/cgroup/cpu,cpuacct", "cgroup", "cpu,cpuacct"),
    ];
    expect(parseCgroupLayout(info.join("\n"), "")?.mounts.cpu).toBe("/sys/fs/cgroup/cpu,cpuacct");
  });

  it("takes version 2 with its controllers", () => {
    const info = line("/sys/fs/cgroup", "cgroup2", "nsdelegate");
    expect(parseCgroupLayout(info, "cpuset cpu io memory hugetlb pids\n")).toMatchObject({ version: 2 });
    expect(parseCgroupLayout(info, "cpu io pids\n")).toBeUndefined();
  });

  it("is undefined where one of version 1 is missing and version 2 is empty", () => {
    expect(parseCgroupLayout(v1.slice(1).join("\n"), "")).toBeUndefined();
    expect(parseCgroupLayout("", "")).toBeUndefined();
  });
});

describe("judgeKernel", () => {
  const good: KernelFacts = {
    release: "6.1.0",
    cgroups: parseCgroupLayout(line("/sys/fs/cgroup", "cgroup2", "x"), "cpu memory pids"),
    network: { networkNamespaces: true, veth: true, nftables: true, rmemDefaultIsVisible: false },
  };

  it("accepts a whole kernel, and one whose network could not be tried yet", () => {
    expect(judgeKernel(good).state).toBe("ok");
    expect(judgeKernel({ ...good, network: undefined }).state).toBe("ok");
  });

  it("names every missing part, and what to type", () => {
    const finding = judgeKernel({
      release: "6.1.0",
      cgroups: undefined,
      network: { networkNamespaces: true, veth: false, nftables: false, rmemDefaultIsVisible: true },
    });
    expect(finding.state).toBe("broken");
    expect(finding.problem).toMatch(/cgroups.*veth.*nftables/);
    expect(finding.cure?.say).toHaveLength(3);
  });

  it("says once that there are no network namespaces", () => {
    const network = { networkNamespaces: false, veth: false, nftables: false, rmemDefaultIsVisible: false };
    expect(judgeKernel({ ...good, network }).cure?.say).toHaveLength(1);
  });
});

describe("names below localhost", () => {
  it("are read from getent, each address once", () => {
    const text = "::1             STREAM sb-1.localhost\n::1             DGRAM  \n127.0.0.1       STREAM \n";
    expect(parseAhosts(text)).toEqual(["::1", "127.0.0.1"]);
    expect(parseAhosts("")).toEqual([]);
  });

  it("are well where they lead to this machine, whatever makes them", () => {
    const facts = { addresses: ["::1", "127.0.0.1"], hasPackage: false, hasApt: false };
    expect(judgeLocalhostNames(facts)).toMatchObject({ state: "ok", found: "*.localhost is ::1, 127.0.0.1" });
  });

  it("are cured by a package where they are unknown, and set-up may go on without", () => {
    const finding = judgeLocalhostNames({ addresses: [], hasPackage: false, hasApt: true });
    expect(finding).toMatchObject({ state: "warning", optional: true });
    expect(finding.cure?.say).toEqual([expect.stringContaining("libnss-myhostname")]);
    expect(finding.cure?.apply).toBeDefined();
  });

  it("that a resolver sends elsewhere are told, also where the package is there and is not asked", () => {
    for (const facts of [
      { addresses: ["198.51.100.7"], hasPackage: true, hasApt: true },
      { addresses: ["127.0.0.1", "198.51.100.7"], hasPackage: true, hasApt: true },
      { addresses: [], hasPackage: false, hasApt: false },
    ]) {
      const finding = judgeLocalhostNames(facts);
      expect(finding).toMatchObject({ state: "warning" });
      expect(finding.cure?.apply).toBeUndefined();
      expect(finding.cure?.say).toEqual([expect.stringContaining("nsswitch.conf")]);
    }
  });
});

describe("runsc versions", () => {
  it("are read as Debian and as upstream print them", () => {
    expect(parseRunscVersion("runsc version 0.0~20240729.0\nspec: 1.1.0\n")?.releasedOn).toBe(20240729);
    expect(parseRunscVersion("runsc version release-20260713.0\n")?.releasedOn).toBe(20260713);
    expect(parseRunscVersion("runsc version release-20260713.0-5-gabcdef\n")?.releasedOn).toBe(20260713);
    expect(parseRunscVersion("runc version 1.1.5\n")).toBeUndefined();
    expect(parseRunscVersion("")).toBeUndefined();
  });

  it("need /proc/sys/net hidden only where they are old and the kernel shows it", () => {
    const old = { path: "/r", version: "0.0~20240729.0", releasedOn: 20240729 };
    expect(mustHideNetSysctls(old, true)).toBe(true);
    expect(mustHideNetSysctls(old, false)).toBe(false);
    expect(mustHideNetSysctls({ ...old, releasedOn: 20260713 }, true)).toBe(false);
  });
});

describe("parseUser", () => {
  it("finds exactly this name", () => {
    const passwd = "root:x:0:0:root:/root:/bin/sh\nsallyport-api:x:995:994::/nonexistent:/usr/sbin/nologin\n";
    expect(parseUser(passwd, "sallyport-api")).toEqual({ name: "sallyport-api", uid: 995, gid: 994 });
    expect(parseUser(passwd, "sallyport")).toBeUndefined();
  });
});

describe("judgeUsers", () => {
  const passwd = Object.values(SYSTEM_USERS)
    .map((name, index) => `${name}:x:${900 + index}:${900 + index}::/nonexistent:/usr/sbin/nologin\n`)
    .join("");
  const edges = `${SYSTEM_USERS.connectProxy},${SYSTEM_USERS.tunnelEdge}`;
  const groupOf = (members: string) => `root:x:0:\n${EDGE_GROUP}:x:950:${members}\n`;

  it("is content with every user, and both edges in the group of the edges", () => {
    expect(judgeUsers({ passwd, group: groupOf(edges) })).toMatchObject({ state: "ok" });
  });

  it("says what to type for users, the group and members that are missing, in an order that works", () => {
    const fewer = passwd.replace(/^sallyport-tunnel-edge.*\n/m, "");
    expect(judgeUsers({ passwd: fewer, group: "root:x:0:\n" })).toMatchObject({
      state: "missing",
      cure: {
        say: [
          expect.stringMatching(/^useradd --system .* sallyport-tunnel-edge$/) as string,
          "groupadd --system sallyport-edges",
          "usermod --append --groups sallyport-edges sallyport-connect-proxy",
          "usermod --append --groups sallyport-edges sallyport-tunnel-edge",
        ],
      },
    });
    const half = judgeUsers({ passwd, group: groupOf(SYSTEM_USERS.connectProxy) });
    expect(half.problem).toBe("sallyport-tunnel-edge not in the group sallyport-edges");
  });

  it("tolerates no stranger in that group, and no such user with root's id", () => {
    const strangers = judgeUsers({ passwd, group: groupOf(`${edges},sallyport-postgres`) });
    expect(strangers).toMatchObject({ state: "broken", problem: expect.stringContaining("postgres") as string });
    expect(strangers.cure?.apply).toBeUndefined();
    const root = `${SYSTEM_USERS.api}:x:0:0::/:/bin/sh\n`;
    expect(judgeUsers({ passwd: root + passwd, group: groupOf(edges) })).toMatchObject({ state: "broken" });
  });
});
