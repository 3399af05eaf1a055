// Archives of strangers, built by hand: what is refused, what is repaired, what is left out; and that nothing outside changes.
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import type { Header } from "tar-stream";
import { extract, pack } from "tar-stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MOUNT_POINTS } from "../../runtime/runsc/spec.ts";
import { checkContext } from "./context.ts";
import { unpackRootfs } from "./rootfs.ts";

type Entry = Partial<Header> & { readonly name: string; readonly text?: string };

/** tar-stream mends some names as it packs: these are put in as they are. */
async function archive(entries: readonly Entry[]): Promise<Buffer> {
  const tar = pack();
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  for (const { text: content = "", ...header } of entries) {
    const isFile = header.type === undefined || header.type === "file";
    const entry = { mode: 0o755, uid, gid, mtime: new Date(0), ...header };
    if (isFile) tar.entry(entry, content);
    else tar.entry({ ...entry, size: 0 }, () => undefined).end(null);
  }
  tar.finalize();
  return buffer(tar as unknown as Readable);
}

let base: string;
let root: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "unpack-"));
  root = join(base, "root");
  mkdirSync(root);
  writeFileSync(join(base, "outside"), "untouched");
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const none = { directories: [], files: [] };

async function unpack(
  entries: readonly Entry[],
  options: { user?: string; maxBytes?: number; maxEntries?: number; mountPoints?: typeof MOUNT_POINTS } = {},
) {
  const job = { directory: root, user: "", maxBytes: 1_000_000, maxEntries: 1_000, mountPoints: none, ...options };
  return unpackRootfs(Readable.from([await archive(entries)]), job);
}

async function refusal(entries: readonly Entry[], options: Parameters<typeof unpack>[1] = {}): Promise<string> {
  const error = await unpack(entries, options).then(
    () => new Error("accepted"),
    (reason: unknown) => reason,
  );
  expect(readFileSync(join(base, "outside"), "utf8")).toBe("untouched");
  expect(readdirSync(base).sort()).toEqual(["outside", "root"]);
  return error instanceof Error ? error.message : String(error);
}

const HOSTILE: readonly (readonly [what: string, entries: readonly Entry[], why: string])[] = [
  ["..", [{ name: "../outside", text: "x" }], "leads out"],
  [".. within", [{ name: "a/../../outside", text: "x" }], "leads out"],
  ["an absolute name", [{ name: "/outside", text: "x" }], "absolute"],
  ["a hard link out", [{ name: "a", type: "link", linkname: "../outside" }], "leads out"],
  ["an absolute hard link", [{ name: "a", type: "link", linkname: "/etc/passwd" }], "absolute"],
  ["a hard link to nothing", [{ name: "a", type: "link", linkname: "b" }], "names no file"],
  [
    "a hard link to a directory",
    [
      { name: "b", type: "directory" },
      { name: "a", type: "link", linkname: "b" },
    ],
    "names no file",
  ],
  [
    "a write through a link",
    [
      { name: "a", type: "symlink", linkname: ".." },
      { name: "a/outside", text: "x" },
    ],
    "no directory",
  ],
  [
    "a write onto a link",
    [
      { name: "a", type: "symlink", linkname: "../outside" },
      { name: "a", text: "x" },
    ],
    "there twice",
  ],
  [
    "a directory onto a link",
    [
      { name: "a", type: "symlink", linkname: ".." },
      { name: "a", type: "directory" },
    ],
    "takes the name",
  ],
  [
    "a hard link through a link",
    [
      { name: "a", type: "symlink", linkname: ".." },
      { name: "b", type: "link", linkname: "a/outside" },
    ],
    "no directory",
  ],
  [
    "a hard link to a link, then a write",
    [
      { name: "a", type: "symlink", linkname: "../outside" },
      { name: "b", type: "link", linkname: "a" },
      { name: "b", text: "x" },
    ],
    "there twice",
  ],
  [
    "a file as a directory",
    [
      { name: "a", text: "x" },
      { name: "a/b", text: "x" },
    ],
    "no directory",
  ],
  [
    "a name twice",
    [
      { name: "a", text: "x" },
      { name: "./a", text: "y" },
    ],
    "there twice",
  ],
  ["a deep tree", [{ name: "d/".repeat(200), type: "directory" }], "too deep"],
  ["a long part", [{ name: "x".repeat(300), text: "" }], "too long"],
  ["a long name", [{ name: "xxxxxxxxx/".repeat(500), type: "directory" }], "too long"],
  ["a link without a target", [{ name: "a", type: "symlink", linkname: "" }], "no target"],
];

describe("a root file system", () => {
  it.each(HOSTILE)("refuses %s", async (_what, entries, why) => {
    expect(await refusal(entries)).toContain(why);
  });

  it("refuses more than it may have", async () => {
    expect(await refusal([{ name: "a", text: "x".repeat(2_000) }], { maxBytes: 1_000 })).toContain("MiB");
    const many = Array.from({ length: 20 }, (_, index) => ({ name: `f${index}` }));
    expect(await refusal(many, { maxEntries: 10 })).toContain("more than 10 files");
  });

  it("refuses names with NUL, which only a pax header can carry", async () => {
    const body = "15 path=a\0bcde\n";
    const pax = await archive([{ name: "x", text: body }]);
    pax.write("x", 156); // its type: a pax header for what follows
    pax.write("        ", 148);
    const sum = pax.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    pax.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    const bytes = Buffer.concat([pax.subarray(0, 1_024), await archive([{ name: "real", text: "y" }])]);
    const job = { directory: root, user: "", maxBytes: 10, maxEntries: 10, mountPoints: none };
    await expect(unpackRootfs(Readable.from([bytes]), job)).rejects.toThrow(/NUL/);
  });

  it.each([
    ["nothing like an archive", Buffer.alloc(2_048, "x")],
    ["half of one", undefined],
  ])("refuses %s", async (_what, given) => {
    const bytes = given ?? (await archive([{ name: "a", text: "x".repeat(5_000) }])).subarray(0, 2_000);
    const job = { directory: root, user: "", maxBytes: 10_000, maxEntries: 10, mountPoints: none };
    await expect(unpackRootfs(Readable.from([bytes]), job)).rejects.toThrow();
  });

  it("keeps what is good, drops what could harm the host, and leaves links unfollowed", async () => {
    const result = await unpack([
      { name: "./", type: "directory" },
      { name: "bin/", type: "directory", mode: 0o7755 },
      { name: "bin/su", text: "su", mode: 0o6755 },
      { name: "bin/same", type: "link", linkname: "bin/su" },
      { name: "etc", type: "directory" },
      { name: "etc/out", type: "symlink", linkname: "/../../../outside" },
      { name: "with\nnewline", text: "n" },
      { name: "disk", type: "block-device", devmajor: 8, devminor: 0 },
      { name: "pipe", type: "fifo" },
      { name: "dev/null", type: "character-device" },
      { name: "dev/kmsg", text: "x" },
      { name: ".dockerenv", text: "" },
    ]);
    expect(statSync(join(root, "bin/su")).mode & 0o7777).toBe(0o755);
    expect(statSync(join(root, "bin")).mode & 0o7777).toBe(0o1755);
    expect(statSync(join(root, "bin/same")).ino).toBe(statSync(join(root, "bin/su")).ino);
    expect(readlinkSync(join(root, "etc/out"))).toBe("/../../../outside");
    expect(readdirSync(root).sort()).toEqual(["bin", "etc", "with\nnewline"]);
    expect(result).toMatchObject({ size: 3, uid: 0, gid: 0 });
    expect(readFileSync(join(base, "outside"), "utf8")).toBe("untouched");
  });

  it("makes the platform's mount points, whatever is there instead", async () => {
    await unpack(
      [
        { name: "proc", text: "a file" },
        { name: "sys", type: "symlink", linkname: ".." },
        { name: "tmp", type: "symlink", linkname: "../outside" },
        { name: "etc/hosts", type: "symlink", linkname: "../../outside" },
        { name: ".sallyport/init", text: "evil" },
      ],
      { mountPoints: MOUNT_POINTS },
    );
    for (const name of MOUNT_POINTS.directories) expect(lstatSync(join(root, name)).isDirectory()).toBe(true);
    for (const name of MOUNT_POINTS.files) {
      expect(lstatSync(join(root, name)).isFile()).toBe(true);
      expect(readFileSync(join(root, name), "utf8")).toBe("");
    }
    expect(readFileSync(join(base, "outside"), "utf8")).toBe("untouched");
  });

  it("refuses an image whose /etc is a link", async () => {
    expect(await refusal([{ name: "etc", type: "symlink", linkname: ".." }], { mountPoints: MOUNT_POINTS })).toContain(
      "no directory",
    );
  });

  it("names the same content alike, whatever its order and times", async () => {
    const one = await unpack([
      { name: "a", text: "x" },
      { name: "b", type: "directory" },
    ]);
    rmSync(root, { recursive: true });
    mkdirSync(root);
    const two = await unpack([
      { name: "b", type: "directory", mtime: new Date(5_000) },
      { name: "a", text: "x" },
    ]);
    expect(two.digest).toBe(one.digest);
    rmSync(root, { recursive: true });
    mkdirSync(root);
    expect(
      (
        await unpack([
          { name: "a", text: "y" },
          { name: "b", type: "directory" },
        ])
      ).digest,
    ).not.toBe(one.digest);
  });

  it.each([
    ["", 0, 0],
    ["app", 1_000, 1_001],
    ["1000", 1_000, 1_001],
    ["4242", 4_242, 0],
    ["app:staff", 1_000, 50],
    ["app:77", 1_000, 77],
  ])("resolves USER %j", async (user, uid, gid) => {
    const passwd = "root:x:0:0::/:\napp:x:1000:1001::/:\nbroken\n";
    const entries = [
      { name: "etc/passwd", text: passwd },
      { name: "etc/group", text: "staff:x:50:\n" },
    ];
    expect(await unpack(entries, { user })).toMatchObject({ uid, gid });
  });

  it("resolves no USER through a link, nor one that is not there", async () => {
    const link = { name: "etc/passwd", type: "symlink", linkname: "/etc/passwd" } as const;
    expect(await refusal([link], { user: "root" })).toContain("names nobody");
    rmSync(root, { recursive: true });
    mkdirSync(root);
    expect(await refusal([], { user: "99999999999" })).toContain("names nobody");
  });
});

describe("a context", () => {
  async function checked(entries: readonly Entry[], limits = { maxBytes: 100_000, maxEntries: 100 }) {
    const job = { dockerfileName: ".df", dockerfile: "FROM a\n", hasContext: true, ...limits };
    const output = new PassThrough();
    const found: [string, string, string][] = [];
    const reading = (async () => {
      for await (const entry of output.pipe(extract())) {
        found.push([entry.header.name, entry.header.type, await text(entry as AsyncIterable<Uint8Array>)]);
      }
    })();
    await checkContext(Readable.from([await archive(entries)]), output, job);
    await reading;
    return found;
  }

  it("comes out as it went in, after the Dockerfile", async () => {
    const found = await checked([
      { name: "src/", type: "directory" },
      { name: "src/a", text: "hello" },
      { name: "src/l", type: "symlink", linkname: "../x" },
    ]);
    expect(found).toEqual([
      [".df", "file", "FROM a\n"],
      ["src", "directory", ""],
      ["src/a", "file", "hello"],
      ["src/l", "symlink", ""],
    ]);
  });

  it.each([
    ["..", [{ name: "../a", text: "x" }], "leads out"],
    ["an absolute name", [{ name: "/a", text: "x" }], "absolute"],
    ["a device", [{ name: "a", type: "block-device" } as Entry], "no file"],
    [
      "a way through a link",
      [{ name: "a", type: "symlink", linkname: ".." } as Entry, { name: "a/b", text: "x" }],
      "no directory",
    ],
    [
      "a name twice",
      [
        { name: "a", text: "x" },
        { name: "a", text: "y" },
      ],
      "there twice",
    ],
    ["another Dockerfile of the engine's", [{ name: ".df", text: "FROM b" }], "there twice"],
    ["a hard link out", [{ name: "a", type: "link", linkname: "../b" } as Entry], "leads out"],
    ["too much", [{ name: "a", text: "x".repeat(200_000) }], "MiB"],
  ])("refuses %s", async (_what, entries, why) => {
    const job = { dockerfileName: ".df", dockerfile: "FROM a\n", hasContext: true, maxBytes: 100_000, maxEntries: 100 };
    const output = new PassThrough().resume();
    output.on("error", () => output.destroy());
    await expect(checkContext(Readable.from([await archive(entries)]), output, job)).rejects.toThrow(why);
  });
});
