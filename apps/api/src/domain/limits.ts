// Every limit and default of a sandbox, in one table; proto/sallyport/v1/sandbox.proto states them to callers.

/** An inclusive range with what holds when nothing is said. */
export interface Range {
  readonly min: number;
  readonly max: number;
  readonly unset: number;
}

export const CPU_MILLIS: Range = { min: 100, max: 64_000, unset: 1_000 };
export const MEMORY_MIB: Range = { min: 128, max: 65_536, unset: 512 };
export const LIFETIME_MS: Range = { min: 1_000, max: 86_400_000, unset: 3_600_000 };
export const DISK_MIB: Range = { min: 16, max: 65_536, unset: 1_024 };
/** Unset, a sandbox neither ends nor sleeps for idleness. */
export const IDLE_TIMEOUT_MS: Omit<Range, "unset"> = { min: 1_000, max: 86_400_000 };
export const SLEEP_AFTER_MS: Omit<Range, "unset"> = { min: 1_000, max: 86_400_000 };
export const PTY_CELLS: Omit<Range, "unset"> = { min: 1, max: 1_000 };
export const PAGE_SIZE: Range = { min: 1, max: 1_000, unset: 100 };

export const MAX_IDEMPOTENCY_KEY_CHARACTERS = 128;
export const MAX_ARGUMENTS = 1_024;
/** Of all arguments, and of all variables, each with the NUL that ends it: what the kernel takes of one string at most. */
export const MAX_TEXT_BYTES: number = 128 * 1024;
export const MAX_WORKDIR_BYTES = 4_095;
export const MAX_API_TOKEN_NAME_CHARACTERS = 100;
export const MAX_TAGS = 32;
export const MAX_TAG_VALUE_CHARACTERS = 255;
/** What an operator may set a quota to. */
export const MAX_QUOTA = 1_000_000_000;

/** Calls of one workspace that are in flight, over gRPC and HTTP together. */
export const MAX_CALLS_PER_WORKSPACE = 2_000;
/** Apps of one workspace; nothing takes one away. */
export const MAX_APPS = 1_000;

/** Tasks of one sandbox, those of its kernel included. */
export const PIDS_LIMIT = 1_024;

export const DEFAULT_APP_NAME = "default";
export const DEFAULT_IMAGE_NAME = "default";
export const DEFAULT_WORKSPACE_NAME = "default";

/** A worker that was silent for longer is not placed on, and its sandboxes are shown as unreachable. */
export const WORKER_SILENCE_MS = 15_000;
/** A worker that was silent for so long, while the control plane was well, is given up where law 7 lets it be. */
export const LOST_AFTER_MS = 300_000;

/** How long an update of a policy waits for the kernel. */
export const NETWORK_WAIT_MS = 10_000;
/** Resolvers that a create may name. */
export const MAX_RESOLVERS = 3;
/** Ports that a create may declare, of all kinds. */
export const MAX_DECLARED_PORTS = 16;
/** One workspace has at most one in so many of the public ports at a time, those that rest among them. */
export const PUBLIC_PORT_SHARES = 4;
/** CIDRs of those who may come to a sandbox. */
export const MAX_INBOUND_CIDRS = 64;
/** How long a public port rests after its sandbox has ended, before another gets it. */
export const PUBLIC_PORT_REST_MS = 600_000;
/** CIDRs that one machine may call its own. */
export const MAX_MACHINE_ADDRESSES = 1_024;

/** Older events of a sandbox go. */
export const MAX_EVENTS_KEPT = 1_000;
/** Of these so many may tell of what its policy denied, so that a flood of them leaves room for the rest. */
export const MAX_DENIALS_KEPT = 500;
/** The same of connect tokens that were created, and of those that were revoked. */
export const MAX_TOKEN_EVENTS_KEPT = 100;
/** From then on a key may be used anew. */
export const IDEMPOTENCY_KEY_LIFE_MS = 24 * 60 * 60 * 1_000;
/** How long an ended sandbox and its events are remembered. */
export const ENDED_SANDBOX_LIFE_MS = 7 * 24 * 60 * 60 * 1_000;

/** Connect tokens of one sandbox that have not expired. */
export const MAX_CONNECT_TOKENS = 10_000;
/**
 * Connect tokens of one workspace that were revoked one by one and have not expired: every edge keeps them in mind. Those
 * of sandboxes that ended, or of which all were revoked since, do not count.
 */
export const MAX_REVOCATIONS = 10_000;
/** Keys of connect tokens that are published: those that sign, and those whose tokens still count. */
export const MAX_CONNECT_KEYS = 8;
/** How long edges that can be reached may take to know a new key before it signs; afterwards it signs anyhow. */
export const KEY_NOTICE_MS = 10_000;
/** How long a revocation waits for edges. */
export const REVOKE_WAIT_MS = 5_000;
/** An edge that was silent for longer is stale: nobody waits for it. */
export const EDGE_SILENCE_MS = 5_000;
/** An edge that was silent for so long is forgotten: no token lives longer. */
export const EDGE_LIFE_MS = 25 * 60 * 60 * 1_000;
export const MAX_EDGES = 50;
/** Keys for assertions of one edge; an older one goes when it publishes another. An assertion lives for a minute. */
export const MAX_ASSERTION_KEYS_PER_EDGE = 4;
/** A key for assertions is published until so long after its edge last said so. */
export const ASSERTION_KEY_LIFE_MS = 2 * 24 * 60 * 60 * 1_000;
/** An expired token is remembered for so long: clocks differ. */
export const EXPIRED_TOKEN_LIFE_MS = 60_000;
/** Edges are told of an ended sandbox for so long. */
export const ENDED_ROUTE_LIFE_MS = 60 * 60 * 1_000;
/** Certificates of hosts: at once, and each second from then on. Those of sandboxes that there are, of one workspace, others. */
export const CERTIFICATE_RATE = { burst: 2_000, perSecond: 200 };
export const WORKSPACE_CERTIFICATE_RATE = { burst: 1_000, perSecond: 100 };
export const STRANGE_CERTIFICATE_RATE = { burst: 100, perSecond: 10 };
