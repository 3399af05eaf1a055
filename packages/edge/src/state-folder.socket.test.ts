// Folders of processes that follow each other, and live beside each other.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { edgeId } from "./edge-id.ts";
import { StateFolder } from "./state-folder.ts";

let root: string;
let open: AsyncDisposableStack;
beforeEach(() => {
  root = join(mkdtempSync(join(tmpdir(), "state-")), "1");
  open = new AsyncDisposableStack();
});
afterEach(async () => {
  await open.disposeAsync();
  rmSync(join(root, ".."), { recursive: true });
});

const start = async () => open.use(await StateFolder.open(root));
const generations = () => readdirSync(root).filter((name) => /^(gen|new)-/.test(name));

/** A process with what it keeps. */
async function first(): Promise<{ folder: StateFolder; id: string }> {
  const folder = await start();
  const id = edgeId(folder.path);
  writeFileSync(join(folder.path, "routes.jsonl"), "revision 5\n");
  mkdirSync(join(folder.path, "certificates"));
  writeFileSync(join(folder.path, "certificates", "a.localhost.pem"), "pem", { mode: 0o600 });
  return { folder, id };
}

it("is found again by whoever starts next, with the id in it", async () => {
  const { folder, id } = await first();
  expect(folder.isSuccessor).toBe(false);
  expect(statSync(folder.path).mode & 0o777).toBe(0o700);
  await folder[Symbol.asyncDispose]();
  const next = await start();
  expect([next.path, next.isSuccessor, edgeId(next.path)]).toEqual([folder.path, false, id]);
});

it("is another one beside a process that lives: all that it knew, and an id of its own", async () => {
  const { folder, id } = await first();
  const next = await start();
  expect(next.isSuccessor).toBe(true);
  expect(next.path).not.toBe(folder.path);
  expect(readFileSync(join(next.path, "routes.jsonl"), "utf8")).toBe("revision 5\n");
  const certificate = join(next.path, "certificates", "a.localhost.pem");
  expect([readFileSync(certificate, "utf8"), statSync(certificate).mode & 0o777]).toEqual(["pem", 0o600]);
  expect(edgeId(next.path)).not.toBe(id);
});

it("does not count before it is committed: whoever starts then takes what the one before has acknowledged", async () => {
  const { folder, id } = await first();
  const failed = await start();
  writeFileSync(join(folder.path, "routes.jsonl"), "revision 6\n");
  await failed[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
  const next = await start();
  expect([next.path, edgeId(next.path)]).toEqual([folder.path, id]);
  expect(readFileSync(join(next.path, "routes.jsonl"), "utf8")).toBe("revision 6\n");
});

it("counts once it is committed, and what is over is left, with nothing to come back with", async () => {
  const { folder, id } = await first();
  const next = await start();
  next.commit();
  expect(basename(realpathSync(join(root, "current")))).toBe(basename(next.path));
  const left: string[] = [];
  const leave = async (edge: string) => {
    expect(existsSync(join(folder.path, "routes.jsonl"))).toBe(false);
    left.push(edge);
  };
  expect(await next.sweep(leave)).toBe(true);
  expect([left, generations().length]).toEqual([[], 2]); // it still drains
  await folder[Symbol.asyncDispose]();
  expect(await next.sweep(() => Promise.reject(new Error("the api is away")))).toBe(true);
  expect(await next.sweep(leave)).toBe(false);
  expect([left, generations()]).toEqual([[id], [basename(next.path)]]);
  await next[Symbol.asyncDispose]();
  expect((await start()).path).toBe(next.path);
});

it("has its metrics at one path, whoever serves", async () => {
  const { folder } = await first();
  writeFileSync(join(folder.path, "metrics.sock"), "first");
  expect(readFileSync(join(root, "metrics.sock"), "utf8")).toBe("first");
  const next = await start();
  expect(existsSync(join(next.path, "metrics.sock"))).toBe(true); // a file here; of a socket there is no copy
  writeFileSync(join(next.path, "metrics.sock"), "second");
  next.commit();
  expect(readFileSync(join(root, "metrics.sock"), "utf8")).toBe("second");
});
