// The gateway's settings: environment in, frozen values out.
import { absolutePath, intBetween, readEnv } from "@sallyport/appkit/env";
import { z } from "zod";
import { READER_GRACE_MS } from "./limits.ts";
import type { SpoolBounds } from "./processes.ts";

export interface GatewayConfig {
  /** A folder of the gateway's own: spool, keys. */
  readonly stateDirectory: string;
  /** Where the worker calls GatewayControlService. */
  readonly workerSocket: string;
  /** Where edges ask for connections. */
  readonly openSocket: string;
  /** Where the api serves GatewayService. */
  readonly apiSocket: string;
  readonly logLevel: string;
  readonly bounds: SpoolBounds;
  readonly retentionMs: number;
  readonly retainedBytes: number;
}

const MIB = 1024 * 1024;
const MINUTE_MS = 60_000;

/** Throws ConfigError with every problem at once. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): GatewayConfig {
  const values = readEnv(
    {
      SALLYPORT_GATEWAY_STATE: absolutePath,
      SALLYPORT_GATEWAY_WORKER_SOCKET: absolutePath,
      SALLYPORT_GATEWAY_OPEN_SOCKET: absolutePath,
      SALLYPORT_API_GATEWAY_SOCKET: absolutePath,
      SALLYPORT_LOG_LEVEL: z.enum(["debug", "info", "warn", "error"]).default("info"),
      SALLYPORT_GATEWAY_SPOOL_STREAM_MIB: intBetween(1, 65_536).default(64),
      SALLYPORT_GATEWAY_SPOOL_INSTANCE_MIB: intBetween(1, 1_048_576).default(1_024),
      SALLYPORT_GATEWAY_SPOOL_RETAINED_MIB: intBetween(0, 1_048_576).default(4_096),
      SALLYPORT_GATEWAY_SPOOL_RETENTION_MINUTES: intBetween(0, 10_080).default(60),
    },
    env,
  );
  return Object.freeze({
    stateDirectory: values.SALLYPORT_GATEWAY_STATE,
    workerSocket: values.SALLYPORT_GATEWAY_WORKER_SOCKET,
    openSocket: values.SALLYPORT_GATEWAY_OPEN_SOCKET,
    apiSocket: values.SALLYPORT_API_GATEWAY_SOCKET,
    logLevel: values.SALLYPORT_LOG_LEVEL,
    bounds: Object.freeze({
      streamBytes: values.SALLYPORT_GATEWAY_SPOOL_STREAM_MIB * MIB,
      instanceBytes: values.SALLYPORT_GATEWAY_SPOOL_INSTANCE_MIB * MIB,
      readerGraceMs: READER_GRACE_MS,
    }),
    retentionMs: values.SALLYPORT_GATEWAY_SPOOL_RETENTION_MINUTES * MINUTE_MS,
    retainedBytes: values.SALLYPORT_GATEWAY_SPOOL_RETAINED_MIB * MIB,
  });
}
