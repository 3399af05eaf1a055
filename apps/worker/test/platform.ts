// One worker with a stand-in for everything around it: api, gateway, network. The runtime is real.
import type { ChildProcess } from "node:child_process";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type DesiredInstance, DesiredInstance_Wish, type InstanceSpec, NetworkRules_Mode } from "@sallyport/contracts";
import { z } from "zod";
import { start } from "../src/system/command.ts";
import { type FakeApi, startFakeApi } from "./fake-api.ts";
import { type FakeGateway, startFakeGateway } from "./fake-gateway.ts";
import { openFakeNetwork } from "./fake-network.ts";
import {
  compileStatic,
  findImage,
  findRunsc,
  freshUlid,
  HIDE_HELPER,
  imagesDirectory,
  makeStateDirectory,
  removeDirectory,
  tracesOf,
} from "./machine.ts";

export interface TestPlatform extends AsyncDisposable {
  readonly platformId: string;
  readonly state: string;
  readonly env: Readonly<Record<string, string>>;
  readonly api: FakeApi;
  readonly imageDigest: string;
  gateway: FakeGateway;
  restartGateway(): Promise<void>;
  /** Takes the rules out of the network, or puts them back. */
  loseRules(lost: boolean): Promise<void>;
  /** Starts the worker as a process. */
  startWorker(): ChildProcess;
  wishRun(changes?: Partial<InstanceSpec>): DesiredInstance;
  wishStop(instanceId: string): void;
  /** The id of the container that an instance has, or had. */
  containerOf(instanceId: string): Promise<string>;
  /** What is left of an instance on the machine, but for its record. */
  traces(instanceId: string): Promise<string[]>;
  records(): Promise<string[]>;
}

export interface TestPlatformOptions {
  /** Sandboxes made ahead; none when unset. */
  readonly warmPool?: number;
}

export async function startTestPlatform(options: TestPlatformOptions = {}): Promise<TestPlatform> {
  const state = await makeStateDirectory();
  const platformId = freshUlid();
  const tag = platformId.slice(-6);
  const worker = join(state, "worker");
  await mkdir(worker, { mode: 0o700 });
  const init = await compileStatic("fake-init.c", join(state, "fake-init"));
  const image = await findImage();
  const apiSocket = join(state, "api.sock");
  const gatewaySocket = join(state, "gateway.sock");
  const api = await startFakeApi(apiSocket, platformId);
  const children = new Set<ChildProcess>();
  const env = {
    SALLYPORT_WORKER_STATE: worker,
    SALLYPORT_API_WORKER_SOCKET: apiSocket,
    SALLYPORT_GATEWAY_WORKER_SOCKET: gatewaySocket,
    SALLYPORT_PLATFORM_ID: platformId,
    SALLYPORT_IO_ADDRESS: "127.0.0.1:7351",
    SALLYPORT_GATEWAY_UID: "12345",
    SALLYPORT_RUNSC: findRunsc(),
    SALLYPORT_INIT: init,
    SALLYPORT_HIDE_HELPER: HIDE_HELPER,
    SALLYPORT_NFT_HELPER: "/nonexistent",
    SALLYPORT_IMAGES: imagesDirectory(),
    SALLYPORT_LOG_LEVEL: process.env["SALLYPORT_TEST_LOG_LEVEL"] ?? "error",
    SALLYPORT_WARM_POOL: String(options.warmPool ?? 0),
    FAKE_NETWORK_TAG: tag,
    RULES_LOST: join(state, "rules-lost"),
  };
  const platform: TestPlatform = {
    platformId,
    state: worker,
    env,
    api,
    imageDigest: image.digest,
    gateway: await startFakeGateway(gatewaySocket),
    loseRules: (lost) => (lost ? writeFile(env.RULES_LOST, "") : rm(env.RULES_LOST)),
    async restartGateway() {
      await platform.gateway[Symbol.asyncDispose]();
      platform.gateway = await startFakeGateway(gatewaySocket);
    },
    startWorker() {
      const child = start([process.execPath, "--conditions=@sallyport/source", "test/worker-main.ts"], {
        cwd: new URL("..", import.meta.url).pathname,
        env,
        stdio: ["ignore", "inherit", "inherit", "ipc"],
      });
      children.add(child);
      child.once("exit", () => children.delete(child));
      return child;
    },
    wishRun(changes = {}) {
      const wish: DesiredInstance = {
        instanceId: `in-${freshUlid()}`,
        sandboxId: `sb-${freshUlid()}`,
        generation: 1,
        wish: DesiredInstance_Wish.RUN,
        spec: {
          imageDigest: image.digest,
          cpuMillis: 1_000,
          memoryMib: 256,
          pids: 512,
          lifetimeMs: 600_000,
          diskMib: 1_024,
          idleTimeoutMs: 0,
          sleepAfterMs: 0,
          uid: 0,
          gid: 0,
          command: { argv: ["/bin/true"] },
          env: { GREETING: "hi" },
          workdir: "/",
          dns: [],
          network: {
            generation: 1,
            mode: NetworkRules_Mode.BLOCKED,
            allowIpv4: [],
            allowIpv6: [],
            grantedIpv4: [],
            grantedIpv6: [],
            portRules: [],
          },
          ...changes,
        },
        sleepGeneration: 0,
        asleep: false,
      };
      api.wishes.set(wish.instanceId, wish);
      api.announce();
      return wish;
    },
    wishStop(instanceId) {
      const known = api.wishes.get(instanceId);
      const wish = { instanceId, sandboxId: known?.sandboxId ?? `sb-${freshUlid()}`, generation: 1 };
      api.wishes.set(instanceId, { ...wish, wish: DesiredInstance_Wish.STOP, sleepGeneration: 0, asleep: false });
      api.announce();
    },
    async containerOf(instanceId) {
      const record: unknown = JSON.parse(await readFile(join(worker, "instances", `${instanceId}.json`), "utf8"));
      return z.object({ containerId: z.string() }).parse(record).containerId;
    },
    async traces(instanceId) {
      const id = await platform.containerOf(instanceId);
      const folders = await Promise.all(["bundles", "runsc", "exits"].map((name) => readdir(join(worker, name))));
      return [...(await tracesOf(id)), ...folders.flat().filter((name) => name.includes(id))];
    },
    records: () => readdir(join(worker, "instances")),
    async [Symbol.asyncDispose]() {
      for (const child of children) {
        child.kill("SIGKILL");
        await new Promise((resolve) => child.once("exit", resolve));
      }
      await api[Symbol.asyncDispose]();
      await platform.gateway[Symbol.asyncDispose]();
      const { openRunscRuntime } = await import("../src/runtime/runsc/runsc-runtime.ts");
      const runtime = await openRunscRuntime({
        runsc: findRunsc(),
        conmon: "conmon",
        init,
        hide: HIDE_HELPER,
        stateDirectory: worker,
        cgroupPrefix: `sallyport-${platformId.slice(-8)}`,
      });
      for (const id of await runtime.known()) await runtime.destroy(id, { thorough: true });
      await runtime.teardown();
      await runtime[Symbol.asyncDispose]();
      await (await openFakeNetwork(tag)).teardown();
      await removeDirectory(state);
    },
  };
  return platform;
}
