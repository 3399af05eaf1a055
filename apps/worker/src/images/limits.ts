// Every bound of making images, in one table.

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** How many images are made at one time; the others wait. */
export const MAKINGS_AT_ONCE = 2;
/** Pull or build, and export, of one image. */
export const MAKING_TIMEOUT_MS: number = 30 * 60_000;
/** An engine that nobody uses is stopped. */
export const ENGINE_IDLE_MS: number = 5 * 60_000;
export const ENGINE_START_TIMEOUT_MS = 60_000;
/** Everything that the engine keeps: layers, half-made images, the cache of builds. A sparse file. */
export const ENGINE_DISK_BYTES: number = 24 * GIB;
/** Above this share of it, the cache is thrown away before the engine starts the next time. */
export const ENGINE_DISK_KEPT = 0.7;
/** The engine itself. */
export const ENGINE_MEMORY_MIB = 2_048;
export const ENGINE_PIDS = 2_048;
/** The programs that read archives, together. */
export const ARCHIVES_MEMORY_MIB = 2_048;
export const ARCHIVES_PIDS = 512;
/** All containers of builds together; each has half of it. */
export const BUILDS_MEMORY_MIB = 4_096;
export const BUILDS_PIDS = 4_096;
export const BUILD_MEMORY_BYTES: number = 2 * GIB;
export const BUILD_CPU_PERIOD_US = 100_000;
/** One processor. */
export const BUILD_CPU_QUOTA_US = 100_000;

/** Of a context as it is sent. */
export const MAX_CONTEXT_BYTES: number = 1 * GIB;
export const MAX_CONTEXT_ENTRIES = 100_000;
/** Of a root file system: file contents, and everything that has a name. */
export const MAX_IMAGE_BYTES: number = 8 * GIB;
export const MAX_IMAGE_ENTRIES = 400_000;

/** The log of one making; what is beyond is dropped, and says so. */
export const MAX_LOG_BYTES: number = 1 * MIB;
/** One message of the engine. */
export const MAX_MESSAGE_BYTES: number = 1 * MIB;
/** Of Env, Cmd and Entrypoint together. */
export const MAX_CONFIG_BYTES: number = 128 * 1024;

/** A root file system that nothing wishes or uses any more is kept so long. */
export const UNUSED_GRACE_MS: number = 10 * 60_000;
