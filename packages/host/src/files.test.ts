// Hashes, links and lay-outs on a real file system, in folders of their own.
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { putInPlace, replaceFile, sweepUnfinished, switchLink } from "./atomic.ts";
import { findDefaultImage, parseManifest, recipeHash } from "./base-image.ts";
import { homeDirectories } from "./home.ts";
import { sallyportPaths } from "./paths.ts";
import { layOutPostgres, parsePostgresLinks } from "./postgres.ts";
import { closure, releaseInputs } from "./release-inputs.ts";
import { findRunsc } from "./runsc.ts";
import { hashFiles, hashTree } from "./tree-hash.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "host-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
}

describe("hashes", () => {
  it("of files follow names, content and words, not order", async () => {
    await write("a", "1");
    await write("b", "2");
    const base = await hashFiles(root, ["a", "b"], ["x"]);
    expect(await hashFiles(root, ["b", "a"], ["x"])).toBe(base);
    expect(await hashFiles(root, ["a", "b"], ["y"])).not.toBe(base);
    expect(await hashFiles(root, ["a", "b", "gone"], ["x"])).not.toBe(base);
    await write("b", "3");
    expect(await hashFiles(root, ["a", "b"], ["x"])).not.toBe(base);
  });

  it("of a tree follow modes and link targets, too", async () => {
    await write("tree/a", "1");
    await symlink("a", join(root, "tree/link"));
    const base = await hashTree(join(root, "tree"));
    await chmod(join(root, "tree/a"), 0o600);
    const changed = await hashTree(join(root, "tree"));
    expect(changed).not.toBe(base);
    await rm(join(root, "tree/link"));
    await symlink("b", join(root, "tree/link"));
    expect(await hashTree(join(root, "tree"))).not.toBe(changed);
  });
});

describe("a tree with links that lead out", () => {
  it("is hashed without what is outside", async () => {
    await write("outside/file", "1");
    await write("tree/file", "1");
    await symlink("../outside", join(root, "tree/out"));
    const base = await hashTree(join(root, "tree"));
    await write("outside/file", "2");
    expect(await hashTree(join(root, "tree"))).toBe(base);
  });
});

describe("in one step", () => {
  it("a link is switched", async () => {
    const link = join(root, "current");
    await switchLink(link, "one");
    await switchLink(link, "two");
    expect(await readlink(link)).toBe("two");
    expect(await readdir(root)).toEqual(["current"]);
  });

  it("a directory that is there already wins", async () => {
    await write("new/file", "new");
    await write("there/file", "old");
    await putInPlace(join(root, "new"), join(root, "there"));
    expect(await readFile(join(root, "there/file"), "utf8")).toBe("old");
    expect(await readdir(root)).toEqual(["there"]);
  });

  it("a file is replaced, and what is unfinished is swept", async () => {
    await replaceFile(join(root, "file"), "1");
    await replaceFile(join(root, "file"), "2");
    await write(".new-abc/half", "made");
    await sweepUnfinished(root);
    expect(await readdir(root)).toEqual(["file"]);
    expect(await readFile(join(root, "file"), "utf8")).toBe("2");
  });
});

describe("a release's inputs", () => {
  it("are the programs with all that they need, and nothing of tests", async () => {
    await write("package.json", "{}");
    await write(
      "apps/api/package.json",
      '{"name":"api","dependencies":{"kit":"workspace:*"},"devDependencies":{"test":"workspace:*"}}',
    );
    await write("apps/api/src/main.ts", "1");
    await write("packages/kit/package.json", '{"name":"kit"}');
    await write("packages/test/package.json", '{"name":"test"}');
    const base = await releaseInputs(root);
    expect(base.folders.map((folder) => folder.path)).toEqual(["apps/api", "packages/kit"]);
    expect(base.programs).toEqual(["api"]);
    await write("apps/api/src/main.test.ts", "a test");
    await write("apps/api/dist/main.js", "built");
    await write("packages/test/src/x.ts", "only for tests");
    expect((await releaseInputs(root)).hash).toBe(base.hash);
    await write("packages/kit/src/x.ts", "needed");
    expect((await releaseInputs(root)).hash).not.toBe(base.hash);
  });

  it("may need each other in a circle", () => {
    const folder = (name: string, needs: string[]) => ({ path: name, name, needs });
    const all = [folder("c", []), folder("a", ["b"]), folder("b", ["a", "unknown"])];
    expect(closure(all, ["a"]).map(({ name }) => name)).toEqual(["a", "b"]);
  });
});

describe("PostgreSQL's programs", () => {
  it("are laid out with the links that its install script would make", async () => {
    await write("package/native/bin/postgres", "program");
    await write("package/native/lib/libx.so.1.2", "library");
    const links = [{ source: "native/lib/libx.so.1.2", target: "native/lib/libx.so" }];
    await write("package/native/pg-symlinks.json", JSON.stringify(links));
    await layOutPostgres(join(root, "package"), join(root, "out"));
    expect(await readlink(join(root, "out/lib/libx.so"))).toBe("libx.so.1.2");
    expect(await readFile(join(root, "out/lib/libx.so"), "utf8")).toBe("library");
    expect((await readdir(join(root, "out"))).sort()).toEqual(["bin", "lib"]);
  });

  it("are refused where a link leads out", () => {
    for (const target of ["native/../../etc/passwd", "/etc/passwd", "lib/x", 7]) {
      expect(() => parsePostgresLinks(JSON.stringify([{ source: "native/a", target }]))).toThrow(/leads out/);
    }
    expect(() => parsePostgresLinks("{}")).toThrow(/not a list/);
  });
});

describe("the default image", () => {
  const manifest = {
    name: "default",
    digest: `sha256:${"a".repeat(64)}`,
    createdAt: "2026-11-24T00:00:00Z",
    recipe: recipeHash(),
  };

  it("is found only where its recipe is the current one and its tree is there", async () => {
    const paths = sallyportPaths({ cache: root });
    expect(await findDefaultImage(paths)).toBeUndefined();
    await write("images/default.json", JSON.stringify(manifest));
    expect(await findDefaultImage(paths)).toBeUndefined();
    await write(`images/${"a".repeat(64)}/rootfs/usr/bin/python3`, "");
    expect(await findDefaultImage(paths)).toMatchObject({
      digest: manifest.digest,
      rootfs: join(root, "images", "a".repeat(64), "rootfs"),
    });
    await write("images/default.json", JSON.stringify({ ...manifest, recipe: "older" }));
    expect(await findDefaultImage(paths)).toBeUndefined();
  });

  it("has a digest that cannot lead elsewhere", () => {
    expect(parseManifest(JSON.stringify({ ...manifest, digest: "sha256:../../etc" }))).toBeUndefined();
    expect(parseManifest("not json")).toBeUndefined();
    expect(parseManifest("null")).toBeUndefined();
  });
});

describe("findRunsc", () => {
  async function fake(directory: string, version: string): Promise<void> {
    await write(`${directory}/runsc`, `#!/bin/sh\necho "runsc version ${version}"\n`);
    await chmod(join(root, directory, "runsc"), 0o755);
  }
  const isRoot = process.getuid?.() === 0;

  it.runIf(isRoot)("takes the newest that is new enough, and only what root alone can change", async () => {
    const paths = sallyportPaths({ opt: join(root, "opt") });
    await fake("old", "0.0~20221219.0");
    await fake("good", "release-20250101.0");
    await fake("newest", "release-20260713.0");
    const path = ["old", "good", "newest", "no-such"].map((name) => join(root, name)).join(":");
    expect((await findRunsc(paths, path))?.path).toBe(join(root, "newest/runsc"));
    await chmod(join(root, "newest/runsc"), 0o777);
    expect((await findRunsc(paths, path))?.releasedOn).toBe(20250101);
    expect(await findRunsc(paths, join(root, "old"))).toBeUndefined();
  });
});

describe("the home tree", () => {
  it("has parents before children, and gives no child to make inside another user's directory", () => {
    const user = (name: string, uid: number) => ({ name, uid, gid: uid });
    const users = {
      postgres: user("p", 1),
      api: user("a", 2),
      gateway: user("g", 3),
      resolver: user("r", 4),
      connectProxy: user("c", 5),
      tunnelEdge: user("t", 6),
      edgeGid: 7,
    };
    const tree = homeDirectories(sallyportPaths({ home: join(root, "home") }).home, users);
    const made = new Map<string, number>();
    for (const { path, uid } of tree) {
      const parent = made.get(dirname(path));
      if (path !== join(root, "home")) expect(parent, path).toBe(0);
      made.set(path, uid);
    }
    // Sockets are their folder's group's: the edges may connect, and nobody else.
    expect(tree.find(({ path }) => path.endsWith("run/gateway/open"))).toMatchObject({ mode: 0o2750, uid: 3, gid: 7 });
    expect(tree.find(({ path }) => path.endsWith("run/api/edge"))).toMatchObject({ mode: 0o2750, uid: 2, gid: 7 });
    expect(tree.find(({ path }) => path.endsWith("home/connect-proxy"))).toMatchObject({ mode: 0o700, uid: 5 });
    expect(tree.find(({ path }) => path.endsWith("/tunnel-edge"))).toMatchObject({ mode: 0o700, uid: 6 });
    // Connections are handed over by the tunnel-edge alone.
    expect(tree.find(({ path }) => path.endsWith("run/connect-proxy"))).toMatchObject({ mode: 0o750, uid: 0, gid: 6 });
  });
});
