// The worker's settings.
import { totalmem } from "node:os";
import { dirname, join } from "node:path";
import { absolutePath, intBetween, readEnv } from "@sallyport/appkit/env";
import { isRegistryName } from "@sallyport/contracts/images";
import { z } from "zod";
import { DEFAULT_SLOT_LIMITS, type SlotLimits } from "./network/index.ts";

const WARM_POOL_FROM_BYTES = 4 * 1024 ** 3;

const shape = {
  /** Root's own directory. */
  SALLYPORT_WORKER_STATE: absolutePath,
  SALLYPORT_API_WORKER_SOCKET: absolutePath,
  SALLYPORT_GATEWAY_WORKER_SOCKET: absolutePath,
  SALLYPORT_PLATFORM_ID: z.string().regex(/^[0-7][0-9a-hjkmnp-tv-z]{25}$/, "must be a ULID in lower case"),
  /** host:port at which the gateway of this machine serves SandboxIO. */
  SALLYPORT_IO_ADDRESS: z.string().regex(/^.+:[0-9]{1,5}$/, "must be host:port"),
  /** Base URL at which it serves the same over HTTP; nobody is told one when unset. */
  SALLYPORT_IO_URL: z
    .string()
    .regex(/^https?:\/\/[^\s/?#]+$/, "must be http:// or https://, host and port, without a path")
    .default(""),
  SALLYPORT_GATEWAY_UID: intBetween(1, 2 ** 32 - 2),
  /** The user who answers look-ups of open sandboxes; nobody does when unset. */
  SALLYPORT_RESOLVER_UID: intBetween(1, 2 ** 32 - 2).optional(),
  /** One sandbox's look-ups; what is far beyond is dropped before it reaches the resolver, which reads the same. */
  SALLYPORT_DNS_QUERIES_PER_SECOND: intBetween(1, 100_000).default(100),
  /** Where the resolver reads the addresses of the fleet's machines; it is not told when unset. */
  SALLYPORT_FLEET_FILE: absolutePath.optional(),
  SALLYPORT_RUNSC: absolutePath,
  SALLYPORT_CONMON: z.string().default("conmon"),
  /** The static init program that is copied into every bundle. */
  SALLYPORT_INIT: absolutePath,
  /** The program that hides /proc/sys/net from a runsc that needs it hidden. */
  SALLYPORT_HIDE_HELPER: absolutePath,
  /** The helper that talks to nftables. */
  SALLYPORT_NFT_HELPER: absolutePath,
  /** The program that tells what the kernel denied; beside SALLYPORT_HIDE_HELPER when unset. */
  SALLYPORT_DENIAL_READER: absolutePath.optional(),
  /** Connections to the outside that one sandbox may have open at one time. */
  SALLYPORT_SLOT_CONNECTIONS: intBetween(1, 65_535).default(DEFAULT_SLOT_LIMITS.connections),
  SALLYPORT_SLOT_NEW_CONNECTIONS_PER_SECOND: intBetween(1, 1_000_000).default(
    DEFAULT_SLOT_LIMITS.newConnectionsPerSecond,
  ),
  /** Each way. */
  SALLYPORT_SLOT_PACKETS_PER_SECOND: intBetween(100, 100_000_000).default(DEFAULT_SLOT_LIMITS.packetsPerSecond),
  /** Megabits a second, each way. 0: no bound. */
  SALLYPORT_SLOT_BANDWIDTH_MBIT: intBetween(0, 400_000).default(DEFAULT_SLOT_LIMITS.bandwidthMbit),
  /** Slots that no sandbox has yet: a start then need not wait until one is made. */
  SALLYPORT_SLOT_POOL: intBetween(0, 2_000).default(2),
  SALLYPORT_IMAGES: absolutePath,
  /** Where the engine that makes images lies, with `bin/` and `lib/`. Without one, no image can be made. */
  SALLYPORT_ENGINE: absolutePath.default("/opt/sallyport/engine/current"),
  /** The program that reaps what the engine leaves behind; beside SALLYPORT_HIDE_HELPER when unset. */
  SALLYPORT_REAP: absolutePath.optional(),
  /** Registries, separated by commas, that are spoken to in plain HTTP. None unless the operator says so. */
  SALLYPORT_INSECURE_REGISTRIES: z
    .string()
    .default("")
    .transform((text) => text.split(",").filter((name) => name !== ""))
    .refine((names) => names.every(isRegistryName), "must be hosts with their ports, separated by commas"),
  SALLYPORT_MAX_INSTANCES: intBetween(1, 10_000).default(200),
  /** How many times over each processor is promised to sandboxes: most of them idle most of the time. */
  SALLYPORT_CPU_OVERCOMMIT: intBetween(1, 1_000).default(16),
  /** How many times over the memory is promised: above 1, sandboxes that all fill their limits run the machine dry. */
  SALLYPORT_MEMORY_OVERCOMMIT: intBetween(1, 100).default(1),
  /** Sandboxes made ahead, of the default image and size. Unset: 2 where there is memory for it, else none. */
  SALLYPORT_WARM_POOL: intBetween(0, 64).default(totalmem() >= WARM_POOL_FROM_BYTES ? 2 : 0),
  /** What sandboxes' disks leave of the file system that they lie on: the platform's own journals lie there, too. */
  SALLYPORT_DISK_RESERVE_MIB: intBetween(0, 1_048_576).default(2_048),
  /** How many times over the rest is promised: most disks stay nearly empty. */
  SALLYPORT_DISK_OVERCOMMIT: intBetween(1, 1_000).default(8),
  SALLYPORT_LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
};

export interface WorkerConfig {
  readonly stateDirectory: string;
  readonly apiSocket: string;
  readonly gatewaySocket: string;
  readonly platformId: string;
  readonly ioAddress: string;
  readonly ioUrl: string;
  readonly gatewayUid: number;
  readonly resolver: { readonly uid: number; readonly queriesPerSecond: number } | undefined;
  readonly fleetFile: string | undefined;
  readonly runsc: string;
  readonly conmon: string;
  readonly init: string;
  readonly hideHelper: string;
  readonly nftHelper: string;
  readonly denialReader: string;
  readonly slotLimits: SlotLimits;
  readonly slotPool: number;
  readonly imagesDirectory: string;
  readonly engineDirectory: string;
  readonly reap: string;
  readonly insecureRegistries: readonly string[];
  readonly maxInstances: number;
  readonly cpuOvercommit: number;
  readonly memoryOvercommit: number;
  readonly warmPool: number;
  readonly diskReserveMiB: number;
  readonly diskOvercommit: number;
}

/** Throws ConfigError with every problem at once. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): WorkerConfig {
  const settings = readEnv(shape, env);
  const { SALLYPORT_RESOLVER_UID: resolverUid, SALLYPORT_DNS_QUERIES_PER_SECOND: queriesPerSecond } = settings;
  return Object.freeze({
    stateDirectory: settings.SALLYPORT_WORKER_STATE,
    apiSocket: settings.SALLYPORT_API_WORKER_SOCKET,
    gatewaySocket: settings.SALLYPORT_GATEWAY_WORKER_SOCKET,
    platformId: settings.SALLYPORT_PLATFORM_ID,
    ioAddress: settings.SALLYPORT_IO_ADDRESS,
    ioUrl: settings.SALLYPORT_IO_URL,
    gatewayUid: settings.SALLYPORT_GATEWAY_UID,
    resolver: resolverUid === undefined ? undefined : Object.freeze({ uid: resolverUid, queriesPerSecond }),
    fleetFile: settings.SALLYPORT_FLEET_FILE,
    runsc: settings.SALLYPORT_RUNSC,
    conmon: settings.SALLYPORT_CONMON,
    init: settings.SALLYPORT_INIT,
    hideHelper: settings.SALLYPORT_HIDE_HELPER,
    nftHelper: settings.SALLYPORT_NFT_HELPER,
    denialReader: settings.SALLYPORT_DENIAL_READER ?? beside(settings.SALLYPORT_HIDE_HELPER, "sallyport-denials"),
    slotLimits: Object.freeze({
      connections: settings.SALLYPORT_SLOT_CONNECTIONS,
      newConnectionsPerSecond: settings.SALLYPORT_SLOT_NEW_CONNECTIONS_PER_SECOND,
      packetsPerSecond: settings.SALLYPORT_SLOT_PACKETS_PER_SECOND,
      bandwidthMbit: settings.SALLYPORT_SLOT_BANDWIDTH_MBIT,
    }),
    slotPool: settings.SALLYPORT_SLOT_POOL,
    imagesDirectory: settings.SALLYPORT_IMAGES,
    engineDirectory: settings.SALLYPORT_ENGINE,
    reap: settings.SALLYPORT_REAP ?? beside(settings.SALLYPORT_HIDE_HELPER, "sallyport-reap"),
    insecureRegistries: settings.SALLYPORT_INSECURE_REGISTRIES,
    maxInstances: settings.SALLYPORT_MAX_INSTANCES,
    cpuOvercommit: settings.SALLYPORT_CPU_OVERCOMMIT,
    memoryOvercommit: settings.SALLYPORT_MEMORY_OVERCOMMIT,
    warmPool: settings.SALLYPORT_WARM_POOL,
    diskReserveMiB: settings.SALLYPORT_DISK_RESERVE_MIB,
    diskOvercommit: settings.SALLYPORT_DISK_OVERCOMMIT,
  });
}

function beside(program: string, name: string): string {
  return join(dirname(program), name);
}
