// The worker's settings.
import { absolutePath, intBetween, readEnv } from "@sallyport/appkit/env";
import { z } from "zod";

const shape = {
  /** Root's own directory. */
  SALLYPORT_WORKER_STATE: absolutePath,
  SALLYPORT_API_WORKER_SOCKET: absolutePath,
  SALLYPORT_GATEWAY_WORKER_SOCKET: absolutePath,
  SALLYPORT_PLATFORM_ID: z.string().regex(/^[0-7][0-9a-hjkmnp-tv-z]{25}$/, "must be a ULID in lower case"),
  /** host:port at which the gateway of this machine serves SandboxIO. */
  SALLYPORT_IO_ADDRESS: z.string().regex(/^.+:[0-9]{1,5}$/, "must be host:port"),
  SALLYPORT_GATEWAY_UID: intBetween(1, 2 ** 32 - 2),
  SALLYPORT_RUNSC: absolutePath,
  SALLYPORT_CONMON: z.string().default("conmon"),
  /** The static init program that is copied into every bundle. */
  SALLYPORT_INIT: absolutePath,
  /** The program that hides /proc/sys/net from a runsc that needs it hidden. */
  SALLYPORT_HIDE_HELPER: absolutePath,
  /** The helper that talks to nftables. */
  SALLYPORT_NFT_HELPER: absolutePath,
  SALLYPORT_IMAGES: absolutePath,
  SALLYPORT_MAX_INSTANCES: intBetween(1, 10_000).default(200),
  /** How many times over each processor is promised to sandboxes: most of them idle most of the time. */
  SALLYPORT_CPU_OVERCOMMIT: intBetween(1, 1_000).default(16),
  SALLYPORT_LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
};

export interface WorkerConfig {
  readonly stateDirectory: string;
  readonly apiSocket: string;
  readonly gatewaySocket: string;
  readonly platformId: string;
  readonly ioAddress: string;
  readonly gatewayUid: number;
  readonly runsc: string;
  readonly conmon: string;
  readonly init: string;
  readonly hideHelper: string;
  readonly nftHelper: string;
  readonly imagesDirectory: string;
  readonly maxInstances: number;
  readonly cpuOvercommit: number;
}

/** Throws ConfigError with every problem at once. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): WorkerConfig {
  const settings = readEnv(shape, env);
  return Object.freeze({
    stateDirectory: settings.SALLYPORT_WORKER_STATE,
    apiSocket: settings.SALLYPORT_API_WORKER_SOCKET,
    gatewaySocket: settings.SALLYPORT_GATEWAY_WORKER_SOCKET,
    platformId: settings.SALLYPORT_PLATFORM_ID,
    ioAddress: settings.SALLYPORT_IO_ADDRESS,
    gatewayUid: settings.SALLYPORT_GATEWAY_UID,
    runsc: settings.SALLYPORT_RUNSC,
    conmon: settings.SALLYPORT_CONMON,
    init: settings.SALLYPORT_INIT,
    hideHelper: settings.SALLYPORT_HIDE_HELPER,
    nftHelper: settings.SALLYPORT_NFT_HELPER,
    imagesDirectory: settings.SALLYPORT_IMAGES,
    maxInstances: settings.SALLYPORT_MAX_INSTANCES,
    cpuOvercommit: settings.SALLYPORT_CPU_OVERCOMMIT,
  });
}
