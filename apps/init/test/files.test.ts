// Operations on files: the real program, built with sanitizers, on a real folder.
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "./init-process.ts";
import { DATA, endOf, failureOf, infoOf, inputData, inputEnd, recordsOf, run, start } from "./tool.ts";

const { errno } = constants;
const SYSTEM = 0;
const TYPE = 1;
const INPUT = 2;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sallyport-tool-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});
const at = (...names: string[]) => join(folder, ...names);
const write = (path: string, bytes: Buffer, mode = "644") =>
  run(["write", path, mode], Buffer.concat([inputData(bytes), inputEnd(bytes.length)]));

function pipe(path: string): void {
  spawnSync("mkfifo", [path]);
}

/** File bytes of a read. */
function bytesOf(outcome: ReturnType<typeof run>): Buffer {
  endOf(outcome);
  return Buffer.concat(outcome.records.filter(({ type }) => type === DATA).map(({ payload }) => payload));
}

describe("stat", () => {
  it("tells type, mode, size and time, of a link those of the link", () => {
    writeFileSync(at("file"), "12345");
    chmodSync(at("file"), 0o4751);
    utimesSync(at("file"), 1_000, 1_234.5);
    symlinkSync("file", at("link"));
    pipe(at("pipe"));
    const stat = (name: string) => {
      const outcome = run(["stat", at(name)]);
      expect(endOf(outcome)).toBe(1);
      return outcome.records.slice(0, 1).map(infoOf)[0];
    };
    expect(stat("file")).toEqual({ type: 1, mode: 0o4751, size: 5, modifiedMs: 1_234_500, name: "" });
    expect(stat(".")).toMatchObject({ type: 2 });
    expect(stat("link")).toMatchObject({ type: 3, size: 4 });
    expect(stat("pipe")).toMatchObject({ type: 4 });
  });

  it("fails as the kernel does", () => {
    symlinkSync("loop", at("loop"));
    writeFileSync(at("file"), "");
    const fails = (path: string) => failureOf(run(["stat", path]));
    expect(fails(at("none"))).toEqual([SYSTEM, errno.ENOENT]);
    expect(fails(at("file", "below"))).toEqual([SYSTEM, errno.ENOTDIR]);
    expect(fails(at("loop", "x"))).toEqual([SYSTEM, errno.ELOOP]);
    expect(fails(at("n".repeat(256)))).toEqual([SYSTEM, errno.ENAMETOOLONG]);
    expect(fails(`/${"n/".repeat(4_000)}`)).toEqual([SYSTEM, errno.ENAMETOOLONG]);
    expect(fails("")).toEqual([SYSTEM, errno.ENOENT]);
  });
});

describe("list", () => {
  it("is in the order of the names' bytes, whatever these are", () => {
    const odd = Buffer.from([0xff, 0xfe, 0x0a]);
    for (const name of ["b", "a", "B", ".hidden", "ä"]) writeFileSync(at(name), name);
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), odd]), "");
    mkdirSync(at("c"));
    const outcome = run(["list", folder]);
    expect(endOf(outcome)).toBe(7);
    const names = outcome.records.slice(0, -1).map((record) => infoOf(record).name);
    const utf8 = (text: string) => Buffer.from(text).toString("latin1");
    expect(names).toEqual([".hidden", "B", "a", "b", "c", utf8("ä"), odd.toString("latin1")]);
  });

  it("of 20,000 entries has them all", () => {
    for (let n = 0; n < 20_000; n += 1) writeFileSync(at(`entry-${String(n).padStart(6, "0")}`), "");
    const outcome = run(["list", folder]);
    expect(endOf(outcome)).toBe(20_000);
    expect(infoOf(outcome.records[12_345] ?? { type: 0, payload: Buffer.alloc(0) }).name).toBe("entry-012345");
  });

  it("fails for what is no directory", () => {
    writeFileSync(at("file"), "");
    expect(failureOf(run(["list", at("file")]))).toEqual([SYSTEM, errno.ENOTDIR]);
    expect(failureOf(run(["list", at("none")]))).toEqual([SYSTEM, errno.ENOENT]);
  });
});

describe("read", () => {
  it("gives the bytes that were asked for, and where they end", () => {
    const bytes = randomBytes(300_000);
    writeFileSync(at("file"), bytes);
    symlinkSync("file", at("link"));
    const read = (from: string, length: string) => run(["read", at("link"), from, length]);
    expect(bytesOf(read("0", "-")).equals(bytes)).toBe(true);
    expect(bytesOf(read("1000", "5")).equals(bytes.subarray(1_000, 1_005))).toBe(true);
    expect(endOf(read("299999", "5"))).toBe(300_000);
    expect(bytesOf(read("400000", "5"))).toHaveLength(0);
    expect(bytesOf(read("0", "0"))).toHaveLength(0);
    expect(bytesOf(read("18446744073709551615", "18446744073709551615"))).toHaveLength(0);
    expect(bytesOf(run(["read", "/proc/self/status", "0", "-"])).toString()).toMatch(/^Name:\tsallyport-init/);
  });

  it("refuses what is no regular file, and waits for none", () => {
    pipe(at("pipe"));
    expect(failureOf(run(["read", at("pipe"), "0", "-"]))).toEqual([TYPE, 0]);
    expect(failureOf(run(["read", "/dev/zero", "0", "-"]))).toEqual([TYPE, 0]);
    expect(failureOf(run(["read", folder, "0", "-"]))).toEqual([SYSTEM, errno.EISDIR]);
    expect(failureOf(run(["read", at("none"), "0", "-"]))).toEqual([SYSTEM, errno.ENOENT]);
  });
});

describe("write", () => {
  it("puts a whole file in its place, with its mode", () => {
    const bytes = randomBytes(500_000);
    expect(endOf(write(at("file"), bytes, "4751"))).toBe(500_000);
    expect(readFileSync(at("file")).equals(bytes)).toBe(true);
    expect(statSync(at("file")).mode & 0o7777).toBe(0o4751);
    expect(endOf(write(at("empty"), Buffer.alloc(0)))).toBe(0);
    expect(readdirSync(folder).toSorted()).toEqual(["empty", "file"]);
  });

  it("replaces a file, keeps its mode, and leaves its other names alone", () => {
    writeFileSync(at("file"), "old");
    chmodSync(at("file"), 0o640);
    linkSync(at("file"), at("twin"));
    endOf(write(at("file"), Buffer.from("new"), "777"));
    expect(readFileSync(at("file"), "utf8")).toBe("new");
    expect(readFileSync(at("twin"), "utf8")).toBe("old");
    expect(statSync(at("file")).mode & 0o777).toBe(0o640);
  });

  it("follows links at the end, to where there is nothing yet as well", () => {
    mkdirSync(at("below"));
    symlinkSync("below/second", at("first"));
    symlinkSync("../target", at("below", "second"));
    symlinkSync(at("absolute-target"), at("absolute"));
    symlinkSync("loop", at("loop"));
    endOf(write(at("first"), Buffer.from("one")));
    endOf(write(at("absolute"), Buffer.from("two")));
    expect(readFileSync(at("target"), "utf8")).toBe("one");
    expect(readFileSync(at("absolute-target"), "utf8")).toBe("two");
    expect(lstatSync(at("first")).isSymbolicLink()).toBe(true);
    expect(failureOf(write(at("loop"), Buffer.from("x")))).toEqual([SYSTEM, errno.ELOOP]);
  });

  it("refuses what cannot be a file", () => {
    mkdirSync(at("directory"));
    pipe(at("pipe"));
    const fails = (path: string) => failureOf(write(path, Buffer.from("x")));
    expect(fails(at("directory"))).toEqual([SYSTEM, errno.EISDIR]);
    expect(fails(`${at("new")}/`)).toEqual([SYSTEM, errno.EISDIR]);
    expect(fails(`${at("directory")}/..`)).toEqual([SYSTEM, errno.EISDIR]);
    expect(fails("/")).toEqual([SYSTEM, errno.EISDIR]);
    expect(fails(at("pipe"))).toEqual([TYPE, 0]);
    expect(fails("/dev/null")).toEqual([TYPE, 0]);
    expect(fails(at("none", "file"))).toEqual([SYSTEM, errno.ENOENT]);
    expect(fails(at("n".repeat(256)))).toEqual([SYSTEM, errno.ENAMETOOLONG]);
    expect(readdirSync(folder).toSorted()).toEqual(["directory", "pipe"]);
  });

  it.each([
    ["ends early", (bytes: Buffer) => inputData(bytes)],
    ["ends within a record", (bytes: Buffer) => inputData(bytes).subarray(0, 50)],
    ["ends within a head", (bytes: Buffer) => Buffer.concat([inputData(bytes), Buffer.from([2, 0])])],
    ["is empty", () => Buffer.alloc(0)],
    ["miscounts", (bytes: Buffer) => Buffer.concat([inputData(bytes), inputEnd(bytes.length + 1)])],
    ["has a record of no kind", (bytes: Buffer) => Buffer.concat([inputData(bytes), Buffer.from([9, 0, 0, 0, 0])])],
  ])("replaces nothing when its input %s", (_what, inputOf) => {
    writeFileSync(at("file"), "old");
    expect(failureOf(run(["write", at("file"), "644"], inputOf(randomBytes(1_000))))).toEqual([INPUT, 0]);
    expect(readFileSync(at("file"), "utf8")).toBe("old");
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  it("leaves nothing when it is told to stop", async () => {
    writeFileSync(at("file"), "old");
    const child = start(["write", at("file"), "644"]);
    child.stdin?.write(inputData(randomBytes(100)));
    await until(() => readdirSync(folder).length === 2, "the temporary file");
    const ended = once(child, "close");
    child.kill("SIGTERM");
    await ended;
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  it("tells of a full disk, and leaves nothing", () => {
    // A limit on the size of files ends in the same place as a full disk does.
    const script = `ulimit -f 8; trap '' XFSZ; exec "$@"`;
    const program = join(import.meta.dirname, "../build/sanitize/sallyport-init");
    const input = Buffer.concat([inputData(randomBytes(100_000)), inputEnd(100_000)]);
    const child = spawnSync("sh", ["-c", script, "sh", program, "files", "write", at("file"), "644"], { input });
    expect(recordsOf(child.stdout).map(({ payload }) => payload.readUInt32BE(1))).toEqual([errno.EFBIG]);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("mkdir", () => {
  it("makes one, or all on the way", () => {
    endOf(run(["mkdir", at("one"), "0"]));
    endOf(run(["mkdir", `${at("a//b")}/c//`, "1"]));
    endOf(run(["mkdir", at("a", "b", "c"), "1"]));
    symlinkSync("a", at("link"));
    endOf(run(["mkdir", at("link", "d", "e"), "1"]));
    expect(statSync(at("a", "d", "e")).mode & 0o777).toBe(0o755);
    endOf(run(["mkdir", "/", "1"]));
  });

  it("refuses what is there, and what is in the way", () => {
    writeFileSync(at("file"), "");
    const fails = (path: string, parents = "0") => failureOf(run(["mkdir", path, parents]));
    expect(fails(folder)).toEqual([SYSTEM, errno.EEXIST]);
    expect(fails(at("file"), "1")).toEqual([SYSTEM, errno.EEXIST]);
    expect(fails(at("file", "below", "x"), "1")).toEqual([SYSTEM, errno.ENOTDIR]);
    expect(fails(at("none", "x"))).toEqual([SYSTEM, errno.ENOENT]);
    expect(fails("")).toEqual([SYSTEM, errno.ENOENT]);
  });
});

describe("remove", () => {
  it("takes a file, a link, or an empty directory", () => {
    mkdirSync(at("target"));
    writeFileSync(at("target", "kept"), "");
    symlinkSync("target", at("link"));
    mkdirSync(at("empty"));
    for (const name of ["link/", "empty"]) endOf(run(["remove", at(name), "0"]));
    expect(failureOf(run(["remove", at("target"), "0"]))).toEqual([SYSTEM, errno.ENOTEMPTY]);
    endOf(run(["remove", at("target", "kept"), "1"]));
    expect(readdirSync(folder)).toEqual(["target"]);
  });

  it("refuses what has no name of its own, and what is not there", () => {
    const fails = (path: string) => failureOf(run(["remove", path, "1"]));
    for (const path of ["/", "//", "", "/..", `${folder}/.`, `${folder}/x/..`]) {
      expect(fails(path)).toEqual([SYSTEM, errno.EINVAL]);
    }
    expect(fails(at("none"))).toEqual([SYSTEM, errno.ENOENT]);
    expect(fails(at("none", "below"))).toEqual([SYSTEM, errno.ENOENT]);
  });

  it("takes a tree with all in it, and nothing that its links point to", () => {
    mkdirSync(at("kept"));
    writeFileSync(at("kept", "file"), "kept");
    mkdirSync(at("tree", "a", "b"), { recursive: true });
    symlinkSync(at("kept"), at("tree", "a", "link"));
    symlinkSync("../..", at("tree", "a", "up"));
    pipe(at("tree", "pipe"));
    for (let n = 0; n < 3_000; n += 1) writeFileSync(at("tree", "a", "b", `f${n}`), "");
    for (let n = 0; n < 300; n += 1) mkdirSync(at("tree", `d${n}`, "x"), { recursive: true });
    endOf(run(["remove", at("tree"), "1"]));
    expect(readdirSync(folder)).toEqual(["kept"]);
    expect(readFileSync(at("kept", "file"), "utf8")).toBe("kept");
  });

  it("goes as deep as a tree is", { timeout: 60_000 }, () => {
    // Longer than any path may be, so it is made step by step.
    const name = "d".repeat(20);
    const script = `for (let n = 0; n < 250; n += 1) { fs.mkdirSync("${name}"); process.chdir("${name}"); }`;
    const made = spawnSync(process.execPath, ["-e", script], { cwd: folder, timeout: 30_000 });
    expect(made.status, made.stderr.toString()).toBe(0);
    endOf(run(["remove", at(name), "1"]));
    expect(existsSync(at(name))).toBe(false);
  });
});

it("says how it is used", () => {
  for (const words of [
    ["stat"],
    ["nothing", "/"],
    ["read", "/", "x", "-"],
    ["mkdir", "/", "2"],
    ["write", "/x", "9"],
  ]) {
    const { status, stderr } = run(words);
    expect([status, stderr]).toEqual([2, "sallyport-init: files OPERATION PATH [ARGUMENT]...\n"]);
  }
});

it("writes a sparse file's bytes as they are", () => {
  writeFileSync(at("sparse"), "");
  truncateSync(at("sparse"), 1_000_000);
  expect(bytesOf(run(["read", at("sparse"), "0", "-"])).equals(Buffer.alloc(1_000_000))).toBe(true);
});
