// What a process gets from init and what init says of it: argv, env, cwd, exit, signals, failures.
import { readFileSync, realpathSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { describe, expect, it } from "vitest";
import { InitProcess, until } from "./init-process.ts";
import * as wire from "./wire.ts";

const { errno, signals } = constants;

describe("a process", () => {
  it("writes to stdout and stderr, and exits with its status", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const { handle } = await peer.start({ id: "a", argv: ["/bin/sh", "-c", "echo hi; echo ho >&2; exit 7"] });
    expect(await peer.text(handle, 1)).toBe("hi\n");
    expect(await peer.text(handle, 2)).toBe("ho\n");
    expect(await peer.exit(handle)).toEqual({ kind: "exited", value: 7 });
  });

  it("gets its argv, its whole environment and nothing else, and its working directory", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const cwd = realpathSync(tmpdir());
    const script = 'printf "%s|" "$@"; pwd; tr "\\0" "\\n" < /proc/$$/environ; ls /proc/$$/fd | tr "\\n" " "';
    const argv = ["/bin/sh", "-c", script, "name", "", "two words", "ü"];
    const { handle } = await peer.start({ id: "a", argv, cwd, env: ["A=1", "B=", "C==x"] });
    const [line, ...rest] = Buffer.from(await peer.text(handle), "latin1")
      .toString()
      .split("\n");
    expect(line).toBe(`|two words|ü|${cwd}`);
    expect(rest.slice(0, 3)).toEqual(["A=1", "B=", "C==x"]);
    expect(
      rest[3]
        ?.trim()
        .split(" ")
        .filter((fd) => Number(fd) < 10),
    ).toEqual(["0", "1", "2"]);
  });

  it("starts in / with /dev/null as input, default signals, a session and a group of its own", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const script =
      "pwd; readlink /proc/$$/fd/0; grep -E 'Sig(Blk|Ign)' /proc/$$/status; cut -d' ' -f1,5,6 /proc/$$/stat";
    const { handle, pid } = await peer.start({ id: "a", argv: ["sh", "-c", script] });
    expect(await peer.text(handle)).toBe(
      `/\n/dev/null\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n${pid} ${pid} ${pid}\n`,
    );
  });

  it("is found along the PATH that it was given", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const { handle } = await peer.start({ id: "a", argv: ["echo", "found"], env: ["PATH=/nowhere::/usr/bin:/bin"] });
    expect(await peer.text(handle)).toBe("found\n");
    expect(await peer.startFails({ id: "b", argv: ["echo"], env: ["PATH=/nowhere"] })).toEqual({
      stage: 5,
      errno: errno.ENOENT,
    });
  });

  it("tells where a start failed, and its id stays free", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const missing = { id: "a", argv: ["/no/such/program"] };
    expect(await peer.startFails(missing)).toEqual({ stage: 5, errno: errno.ENOENT });
    expect(await peer.startFails({ id: "a", argv: [""] })).toEqual({ stage: 5, errno: errno.ENOENT });
    expect(await peer.startFails({ id: "a", argv: ["/etc/passwd"] })).toEqual({ stage: 5, errno: errno.EACCES });
    expect(await peer.startFails({ id: "a", argv: ["true"], cwd: "/no" })).toEqual({ stage: 4, errno: errno.ENOENT });
    expect(await peer.startFails({ id: "a", argv: ["true"], cwd: "/etc/passwd" })).toEqual({
      stage: 4,
      errno: errno.ENOTDIR,
    });
    const { handle } = await peer.start({ id: "a", argv: ["true"] });
    expect(await peer.exit(handle)).toEqual({ kind: "exited", value: 0 });
  });

  it("is started once for an id, however often it is asked for", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const first = await peer.start({ id: "same", argv: ["cat"], stdin: true });
    const second = await peer.start({ id: "same", argv: ["echo", "another"] });
    expect(second).toEqual(first);
    const other = await peer.start({ id: "sam", argv: ["true"] });
    expect(other.handle).not.toBe(first.handle);
  });

  it("gets signals as a group; its end by a signal is told as such", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const script = "sleep 60 & echo $!; wait";
    const { handle } = await peer.start({ id: "a", argv: ["sh", "-c", script] });
    const line = await peer.read(handle, 1, { isEnough: (at) => at > 0 });
    const sleeper = Number(line.toString());
    peer.send(wire.signal(handle, signals.SIGTERM));
    expect(await peer.exit(handle)).toEqual({ kind: "signalled", value: signals.SIGTERM });
    await until(() => !isAlive(sleeper), "the end of the child");
    // Ended and unknown handles are ignored.
    peer.send(wire.signal(handle, signals.SIGKILL), wire.signal(4_000_000_000, signals.SIGKILL));
    await peer.pong();
  });

  it("keeps its output open for its children: the end comes after the exit", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const script = "(read line; echo late) < $0 & exit 3";
    const fifo = `${tmpdir()}/init-${process.pid}-fifo`;
    const { handle } = await peer.start({
      id: "a",
      argv: ["sh", "-c", `rm -f $0; mkfifo $0; ${script}`, fifo],
      env: [`PATH=${process.env["PATH"]}`],
    });
    expect(await peer.exit(handle)).toEqual({ kind: "exited", value: 3 });
    await peer.start({ id: "b", argv: ["sh", "-c", "echo > $0; rm $0", fifo], env: [`PATH=${process.env["PATH"]}`] });
    expect(await peer.text(handle)).toBe("late\n");
  });
});

describe("init", () => {
  it("reaps orphans", async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const script = "(sleep 0.05 & echo $!) ; (sh -c 'sleep 0.05 & sleep 0.01 &') ; exit 0";
    const { handle } = await peer.start({ id: "a", argv: ["sh", "-c", script] });
    const orphan = Number(await peer.text(handle));
    await peer.exit(handle);
    await until(() => !isAlive(orphan), "the end of the orphan");
    await until(() => childrenOf(init.pid) === "", "nothing left, no zombie either");
  });

  it("keeps no trace of its secret where others can read", async () => {
    await using init = await InitProcess.start();
    const environment = readFileSync(`/proc/${init.pid}/environ`);
    expect(environment.includes("SALLYPORT")).toBe(false);
    expect(environment.includes(init.secret.toString("hex"))).toBe(false);
    expect(environment.every((byte) => byte === 0)).toBe(true);
    await using peer = await init.peer();
    const { handle } = await peer.start({ id: "a", argv: ["/usr/bin/env"] });
    expect(await peer.text(handle)).toBe("");
  });

  it("ignores signals that would end it", async () => {
    await using init = await InitProcess.start();
    for (const name of [
      "SIGTERM",
      "SIGINT",
      "SIGHUP",
      "SIGQUIT",
      "SIGPIPE",
      "SIGUSR1",
      "SIGUSR2",
      "SIGALRM",
    ] as const) {
      process.kill(init.pid, name);
    }
    await using peer = await init.peer();
    await peer.pong();
    expect(init.isRunning).toBe(true);
  });

  it("keeps 512 records, refuses the next, and has room again after FORGET", { timeout: 60_000 }, async () => {
    await using init = await InitProcess.start();
    await using peer = await init.peer();
    const handles: number[] = [];
    for (let index = 0; index < 512; index += 1) {
      handles.push((await peer.start({ id: `p${index}`, argv: ["true"] })).handle);
    }
    for (const handle of handles) await peer.exit(handle);
    expect(await peer.startFails({ id: "more", argv: ["true"] })).toEqual({ stage: 1, errno: errno.EAGAIN });
    const { records } = await init.greet();
    expect(records).toHaveLength(512);
    await using again = await init.peer();
    again.send(wire.forget(handles[0] ?? 0), wire.forget(handles[0] ?? 0));
    await again.start({ id: "more", argv: ["true"] });
  });

  it("keeps descriptors for the gateway when processes have taken all others", async () => {
    await using init = await InitProcess.start(["prlimit", "--nofile=100:100", "--"]);
    await using peer = await init.peer();
    const starts = Array.from({ length: 40 }, (_, index) =>
      wire.start({ id: `p${index}`, argv: ["cat"], stdin: true }),
    );
    peer.send(...starts);
    const failure = await peer.take(wire.START_FAILED);
    const at = 1 + failure.readUInt8(0);
    expect({ stage: failure.readUInt8(at), errno: failure.readUInt32BE(at + 1) }).toEqual({
      stage: 2,
      errno: errno.EMFILE,
    });
    await using other = await init.peer();
    await other.pong();
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function childrenOf(pid: number): string {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim();
}
