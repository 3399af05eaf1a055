import { spawn } from "node:child_process";
import { mkdir, chown, mkdtemp, rm, readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger } from "@sallyport/appkit/logger";
import { DesiredInstance_Wish, InstanceState, NetworkRules_Mode } from "@sallyport/contracts";
import { startWorker } from "../src/app.ts";
import { readConfig } from "../src/config.ts";
import { startFakeApi } from "./fake-api.ts";
import { freshUlid, findRunsc, findImage, imagesDirectory, tracesOf } from "./machine.ts";

const UID = 64123;
const platformId = freshUlid();
const tag = platformId.slice(-8);
const dir = await mkdtemp(join(tmpdir(), "e2e-"));
await import("node:fs/promises").then((fs) => fs.chmod(dir, 0o755));
await mkdir(join(dir, "worker"), { mode: 0o700 });
for (const d of ["gw", "gwrun"]) { await mkdir(join(dir, d), { mode: 0o700 }); await chown(join(dir, d), UID, UID); }
const api = await startFakeApi(join(dir, "api.sock"), platformId);
const image = await findImage();
const ci = new URL("../../init/build/", import.meta.url).pathname;
const env = {
  SALLYPORT_WORKER_STATE: join(dir, "worker"), SALLYPORT_API_WORKER_SOCKET: join(dir, "api.sock"),
  SALLYPORT_GATEWAY_WORKER_SOCKET: join(dir, "gwrun", "worker.sock"), SALLYPORT_PLATFORM_ID: platformId,
  SALLYPORT_IO_ADDRESS: "127.0.0.1:7351", SALLYPORT_GATEWAY_UID: String(UID), SALLYPORT_RUNSC: findRunsc(),
  SALLYPORT_INIT: ci + "sallyport-init", SALLYPORT_NFT_HELPER: ci + "sallyport-nft", SALLYPORT_IMAGES: imagesDirectory(),
};
const worker = await startWorker(readConfig(env), { logger: createLogger("worker", process.env["LVL"] ?? "info") });
const gw = spawn("nsenter", ["--net=/run/netns/sp-" + tag, "setpriv", "--reuid", String(UID), "--regid", String(UID), "--clear-groups", "--no-new-privs",
  process.execPath, "--conditions=@sallyport/source", new URL("../../gateway/src/main.ts", import.meta.url).pathname], {
  stdio: ["ignore", "inherit", "inherit", "ipc"],
  env: { PATH: process.env["PATH"], SALLYPORT_GATEWAY_STATE: join(dir, "gw"), SALLYPORT_GATEWAY_WORKER_SOCKET: join(dir, "gwrun", "worker.sock"),
    SALLYPORT_GATEWAY_OPEN_SOCKET: join(dir, "gwrun", "open.sock"), SALLYPORT_API_GATEWAY_SOCKET: join(dir, "gwrun", "api.sock"), SALLYPORT_LOG_LEVEL: "error" },
});
const io = createServer();
await new Promise<void>((r) => io.listen(0, "127.0.0.1", r));
gw.send({ type: "listener", name: "io" }, io);
await new Promise<void>((r) => gw.on("message", (m: { type: string }) => { if (m.type === "ready") r(); }));
const lists = { allowIpv4: [], allowIpv6: [], grantedIpv4: [], grantedIpv6: [] };
async function one(argv: string[] | undefined, extra: object = {}) {
  const wish = { instanceId: "in-" + freshUlid(), sandboxId: "sb-" + freshUlid(), generation: 1, wish: DesiredInstance_Wish.RUN,
    spec: { imageDigest: image.digest, cpuMillis: 1000, memoryMib: 256, pids: 512, lifetimeMs: 60000, command: argv && { argv }, env: { PATH: "/usr/bin:/bin" }, workdir: "/",
      network: { generation: 1, mode: NetworkRules_Mode.BLOCKED, ...lists }, ...extra } };
  const t = performance.now();
  api.wishes.set(wish.instanceId, wish); api.announce();
  const done = await Promise.race([api.reached(wish.instanceId, InstanceState.RUNNING, 30000).then(() => "running", () => "x"), api.reached(wish.instanceId, InstanceState.ENDED, 40000).then(() => "ended", () => "y")]);
  console.log(done, Math.round(performance.now() - t), "ms");
  return wish.instanceId;
}
try {
  for (let i = 0; i < Number(process.env["N"] ?? 3); i++) {
    const id = await one(["/bin/sh", "-c", "hostname; cat /etc/hosts; exit 5"]);
    const e = await api.reached(id, InstanceState.ENDED, 30000);
    console.log(JSON.stringify(e.outcome));
    if (i === 0) console.log(await readFile(join(dir, "gw", "spool", id, "execs"), "utf8").catch((e: Error) => e.message));
    console.log(await tracesOf(id));
  }
  if (process.env["ALL"]) {
  for (const [argv, extra] of [
    [["/nope"], {}], [["/bin/true"], { workdir: "/nope" }], [["/etc/passwd"], {}],
    [["/usr/bin/python3", "-c", "x=[]\nwhile 1: x.append(bytearray(1<<20))"], {}],
    [["/usr/bin/python3", "-c", "import os,time\nwhile 1:\n  if os.fork()==0: time.sleep(99)"], { memoryMib: 1024, pids: 256 }],
    [["/bin/sleep", "100"], { lifetimeMs: 500 }],
    [["/bin/sh", "-c", "kill -9 1; sleep 1; kill -9 -1; sleep 100"], {lifetimeMs: 5000}],
    [["/bin/sh", "-c", "kill -TERM $$"], {}],
  ] as const) {
    const id = await one([...argv], extra);
    const e = await api.reached(id, InstanceState.ENDED, 60000);
    console.log(argv.join(" ").slice(0, 60), JSON.stringify(e.outcome), await tracesOf(id));
  }
  }
  const t = performance.now();
  if (process.env["ALL"]) { await Promise.all([1,2,3].map(() => one(["/bin/sleep", "100"]))); }
} finally {
  const t = performance.now();
  await worker.down?.();
  console.log("down", Math.round(performance.now() - t));
  await worker[Symbol.asyncDispose]();
  gw.kill(); await api[Symbol.asyncDispose](); io.close();
  console.log(await tracesOf(tag), await tracesOf(dir));
  await rm(dir, { recursive: true, force: true });
}
process.exit(0);
