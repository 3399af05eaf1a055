// Every bound of the gateway that is no setting, with its name and reason.

/** Processes of one instance that run at the same time, the entrypoint included. */
export const MAX_RUNNING_PROCESSES = 256;
/** Records of ended processes kept for each instance; beyond, the oldest is forgotten with its output. */
export const MAX_ENDED_PROCESSES = 1_024;
/** Records of ended processes kept for all detached instances together, an instance counting as one more. */
export const MAX_RETAINED_PROCESSES = 16_384;
/** Connections into one instance that are open at the same time. */
export const MAX_CONNECTIONS_PER_INSTANCE = 512;
/** Calls of SandboxIO on one instance that are in flight at the same time. */
export const MAX_CALLS_PER_INSTANCE = 2_048;
/** Readers of one output at the same time. */
export const MAX_READERS_PER_STREAM = 16;
/** WriteInput calls of one process that wait for their turn. */
export const MAX_WAITING_WRITES = 16;

/** Processes of one instance that work on files for callers at the same time; further calls wait for a place. */
export const MAX_STREAM_PROCESSES = 64;
/** One that is told to stop is killed after so long. */
export const STREAM_PROCESS_STOP_MS = 5_000;
/** Files of one instance that are being written at the same time. */
export const MAX_OPEN_WRITES = 32;
/** Writes of one instance that ended lately and whose last piece may be repeated, and for how long. */
export const MAX_FINISHED_WRITES = 256;
export const WRITE_REMEMBERED_MS = 60_000;
/** A write whose next piece does not come within this is given up. */
export const WRITE_IDLE_MS = 60_000;
/** Pieces of one file that wait for their turn. */
export const MAX_WAITING_PIECES = 8;
/** Path of a file, in bytes: as the kernel counts, less the byte that ends it. */
export const MAX_PATH_BYTES = 4_095;
/** Entries of one message of a directory's list, and of one directory (as init's tool counts). */
export const MAX_FILES_PER_MESSAGE = 256;
export const MAX_LISTED_FILES = 262_144;

/** Bytes of a command that are kept to be shown in a list. */
export const MAX_KEPT_ARGV_BYTES = 512;
/** argv and env of a command: entries and bytes (with the byte that ends each). */
export const MAX_ARGV_ENTRIES = 1_024;
export const MAX_ARGV_BYTES = 128 * 1024;
export const MAX_ENV_ENTRIES = 1_024;
export const MAX_ENV_BYTES = 256 * 1024;
export const MAX_WORKDIR_BYTES = 4_096;
export const MAX_PTY_CELLS = 1_000;
/** The longest lifetime of an exec: a day, as of a sandbox. */
export const MAX_EXEC_LIFETIME_MS = 86_400_000;
/** The longest that AttachInstance waits for init. */
export const MAX_ATTACH_WAIT_MS = 60_000;

/** From the first byte of a dialled init to its last PROCESS record. */
export const INIT_HANDSHAKE_MS = 5_000;
/** How long a call waits for init's answer, a broken link's renewal included. */
export const INIT_ANSWER_MS = 30_000;
/** Bytes to an init that does not read; beyond, its connection is closed. */
export const MAX_UNSENT_BYTES = 8 * 1024 * 1024;
/** Bytes of one instance on their way to the disk; beyond, its init is not read. */
export const MAX_UNSTORED_BYTES = 4 * 1024 * 1024;
/** Frames of one init that say nothing new; beyond, init is flooding. */
export const MAX_IDLE_FRAMES_PER_SECOND = 8_192;
/** After the exit of an entrypoint: how long its outputs may stay open (background children) until its end is told. */
export const OUTPUT_END_GRACE_MS = 2_000;
/** A reader that goes away without reaching the end keeps its place so long: it may be reconnecting. */
export const READER_GRACE_MS = 15_000;

/** An instance must be unused for so long before that is told; how long it has been so is told exactly. */
export const USE_SETTLE_MS = 100;
/** How long a call or a connection waits for a sleeping sandbox to be woken. */
export const WAKE_WAIT_MS = 10_000;
/** Freezing takes less; an init that still talks so long after is not listened to until it is resumed. */
export const SUSPENDED_LISTEN_MS = 3_000;
/** A link that does not answer within this after a sleep is dialled anew. */
export const RESUME_ANSWER_MS = 1_000;

/** CONNECT requests whose head is not complete yet. */
export const MAX_PENDING_HEADS = 1_024;
export const CONNECT_HEAD_MS = 5_000;
/** Connections to one instance that callers of SandboxIO have forwarded at the same time: half of all, so that edges have theirs. */
export const MAX_FORWARDS_PER_INSTANCE = 256;
/** How long the first message of a forwarded connection, which names its port, may take. */
export const FORWARD_PORT_MS = 5_000;
/**
 * How long a sandbox that has ended its half of a connection may read nothing of what waits for it: nobody can tell then
 * whether its client is there.
 */
export const STUCK_MS = 600_000;
/** How long a dial into a sandbox may take. */
export const DIAL_MS = 10_000;
