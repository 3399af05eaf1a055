import { describe, expect, it } from "vitest";
import { INIT_PATH, MOUNT_POINTS, ociSpec, pidsLimit } from "./spec.ts";

const SECRET = "ab".repeat(32);
const spec = ociSpec({
  rootfs: "/images/default/rootfs",
  netnsPath: "/run/netns/slot",
  cgroupsPath: "/sallyport-01234567/bx-01j00000000000000000000000",
  initSecret: SECRET,
  limits: { cpuMillis: 500, memoryMiB: 256, pids: 100 },
  files: { init: "/b/init", hosts: "/b/hosts", hostname: "/b/hostname", resolvConf: "/b/resolv.conf" },
});

describe("the configuration of a sandbox", () => {
  it("has no capability and can get none", () => {
    expect(Object.values(spec.process.capabilities).flat()).toEqual([]);
    expect(Object.keys(spec.process.capabilities).toSorted()).toEqual([
      "ambient",
      "bounding",
      "effective",
      "inheritable",
      "permitted",
    ]);
    expect(spec.process.noNewPrivileges).toBe(true);
  });

  it("runs init with its secret and nothing else", () => {
    expect(spec.process.args).toEqual([INIT_PATH]);
    expect(spec.process.env).toEqual([`SALLYPORT_INIT_SECRET=${SECRET}`]);
    expect(JSON.stringify(spec).split(SECRET)).toHaveLength(2);
  });

  it("has namespaces of its own, and the slot's network", () => {
    expect(spec.linux.namespaces).toEqual([
      { type: "pid" },
      { type: "ipc" },
      { type: "uts" },
      { type: "mount" },
      { type: "network", path: "/run/netns/slot" },
    ]);
  });

  it("mounts nothing of the host but the platform's own files, read-only", () => {
    const binds = spec.mounts.filter((mount) => mount.source.startsWith("/") || mount.type === "bind");
    expect(binds.map(({ destination, source }) => [destination, source])).toEqual([
      [INIT_PATH, "/b/init"],
      ["/etc/hosts", "/b/hosts"],
      ["/etc/hostname", "/b/hostname"],
      ["/etc/resolv.conf", "/b/resolv.conf"],
    ]);
    for (const mount of binds) expect(mount.options).toContain("ro");
    expect(spec.mounts.find((mount) => mount.destination === "/sys")?.options).toContain("ro");
    expect(spec.mounts.find((mount) => mount.destination === "/tmp")?.type).toBe("tmpfs");
  });

  it("mounts only where every image has a mount point", () => {
    const points: readonly string[] = [...MOUNT_POINTS.directories, ...MOUNT_POINTS.files];
    for (const mount of spec.mounts) expect(points).toContain(mount.destination);
  });

  it("limits memory and tasks, never below what the sandbox's kernel needs, and not its boot", () => {
    expect(spec.linux.resources).toEqual({ memory: { limit: 268_435_456 }, pids: { limit: 256 } });
    expect(pidsLimit({ cpuMillis: 1, memoryMiB: 1, pids: 1_000 })).toBe(1_000);
    expect(spec.process.rlimits).toContainEqual({ type: "RLIMIT_NPROC", soft: 76, hard: 76 });
    expect(spec.mounts.find((mount) => mount.destination === "/tmp")?.options).toContain(`size=${128 * 1024 * 1024}`);
    expect(spec.linux.cgroupsPath).toBe("/sallyport-01234567/bx-01j00000000000000000000000");
  });
});
