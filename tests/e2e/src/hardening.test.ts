// What a program inside a sandbox finds of itself and its surroundings: asked by a real exec, answered by the sandbox.
import { Sandbox } from "@sallyport/sdk";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newWorkspace } from "./workspace.ts";

let options: { client: Awaited<ReturnType<typeof newWorkspace>>["client"] };
let sandbox: Sandbox;
beforeAll(async () => {
  options = { client: (await newWorkspace("hardening")).client };
  sandbox = await Sandbox.create(options);
});
afterAll(async () => {
  await sandbox.terminate();
});

async function inside(script: string, of: Sandbox = sandbox): Promise<string> {
  const { stdout } = await of.run(["sh", "-c", script], { check: true });
  return stdout.trim();
}

const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");

describe("inside a sandbox", () => {
  it("no process has a capability, or could get one", async () => {
    for (const process of ["self", "1"]) {
      const status = await inside(`grep -E '^(Cap|NoNewPrivs)' /proc/${process}/status`);
      for (const line of lines(status)) expect(line).toMatch(/^(Cap[A-Za-z]+:\s+0{16}|NoNewPrivs:\s+1)$/);
      expect(lines(status).length).toBeGreaterThanOrEqual(3);
    }
    for (const attempt of [
      "mount -t tmpfs none /mnt",
      "hostname other",
      "chown 1:1 /etc/passwd",
      "mknod /x b 7 0 && head -c 1 /x",
    ]) {
      expect((await sandbox.run(["sh", "-c", attempt])).exitCode, attempt).not.toBe(0);
    }
  });

  it("the environment holds nothing of the platform's, init's secret least of all", async () => {
    expect(await inside("env")).not.toMatch(/SALLYPORT|SECRET|TOKEN/);
    expect(await inside("cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'")).not.toMatch(/SALLYPORT|[0-9a-f]{64}/);
  });

  it("what is mounted is the sandbox's own, and the platform's files are read-only", async () => {
    const mounted = lines(await inside("cat /proc/mounts")).map((line) => line.split(" "));
    const points = mounted.map(([, point]) => point);
    const allowed = [
      "/",
      "/proc",
      "/dev",
      "/dev/pts",
      "/dev/shm",
      "/sys",
      "/tmp",
      "/.sallyport/init",
      "/etc/hosts",
      "/etc/hostname",
      "/etc/resolv.conf",
    ];
    for (const point of points) expect(allowed).toContain(point);
    for (const file of ["/.sallyport/init", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"]) {
      expect((await sandbox.run(["sh", "-c", `echo x >> ${file}`])).exitCode, file).not.toBe(0);
    }
    for (const path of ["/sys/kernel", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger"]) {
      expect((await sandbox.run(["sh", "-c", `echo x > ${path}`])).exitCode, path).not.toBe(0);
    }
  });

  it("there are no devices but the harmless ones, and no socket of the machine's", async () => {
    const devices = lines(await inside("find /dev -type b -o -type c"));
    for (const device of devices) {
      expect(device).toMatch(/^\/dev\/(null|zero|full|random|urandom|tty|ptmx|pts\/.*|net\/tun|console|fuse)$/);
    }
    expect(
      await inside("find / -xdev -type s 2>/dev/null; ls /run/docker.sock /var/run/docker.sock 2>/dev/null || true"),
    ).toBe("");
  });

  it("limits are those that were given, and a limit of files", async () => {
    expect(Number(await inside("awk '/MemTotal/ {print $2}' /proc/meminfo"))).toBeLessThanOrEqual(512 * 1024);
    const limits = await inside("cat /proc/self/limits");
    expect(limits).toMatch(/^Max core file size\s+0\s+0/m);
    expect(await inside("ulimit -n")).toBe("65536");
  });

  it("the name tells nothing but the sandbox's own id", async () => {
    expect(await inside("cat /proc/sys/kernel/hostname")).toBe("sandbox");
    expect(await inside("cat /etc/hostname")).toBe(sandbox.id);
  });

  it("a full disk and a full /tmp are errors of the writer, not the end of the sandbox", async () => {
    await using small = await Sandbox.create({ ...options, diskMiB: 64 });
    for (const path of ["/filled", "/tmp/filled"]) {
      const { exitCode, stderr } = await small.run(["dd", "if=/dev/zero", `of=${path}`, "bs=1M"]);
      expect(exitCode).toBe(1);
      expect(stderr).toContain("No space left on device");
      await inside(`rm ${path}`, small);
    }
    expect(await inside("echo again > /filled; cat /filled", small)).toBe("again");
  });

  it("programs that fork without end are refused, and the sandbox goes on", async () => {
    const bomb = "(while true; do sleep 300 >/dev/null 2>&1 & done)";
    const clean = "cd /proc; for p in [0-9]*; do [ $p -gt 1 ] && [ $p != $$ ] && kill -9 $p; done";
    await using forked = await Sandbox.create(options);
    const refused = await forked.run(["sh", "-c", `${bomb}; ${clean}; echo refused`], { timeoutMs: 120_000 });
    expect(refused.stdout).toBe("refused\n");
    expect(refused.stderr).toContain("Cannot fork");
    expect(await inside("echo alive", forked)).toBe("alive");
  }, 180_000);

  it("another sandbox's files, processes and name are nowhere to be seen", async () => {
    await using other = await Sandbox.create(options);
    await inside("echo mine > /secret-of-other; echo mine > /tmp/secret-of-other", other);
    expect(await inside("find / -xdev -name 'secret-of-other' 2>/dev/null; ls /tmp")).toBe("");
    expect(await inside("cat /etc/hosts")).not.toContain(other.id);
    const sleeper = await other.exec(["sleep", "4321"]);
    expect(await inside("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '")).not.toContain("sleep 4321");
    await sleeper.kill();
  });
});
