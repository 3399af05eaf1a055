// Every bound of the tunnel-edge's own, with its default.

/** Times in milliseconds. */
export interface TunnelLimits {
  /** How long a connection into a sandbox may take to be made. */
  readonly openMs: number;
  /** How long a port is asked for again at which nothing listens yet. */
  readonly startRetryMs: number;
  /** Without a byte either way: of a connection over TLS, and of one at a raw port. 0: no limit. */
  readonly idleMs: number;
  readonly rawIdleMs: number;
  /** Of one declared port, all of its connections together, each way. 0: no limit. */
  readonly bytesPerSecond: number;
}

export const DEFAULT_TUNNEL_LIMITS: TunnelLimits = {
  openMs: 15_000,
  startRetryMs: 5_000,
  idleMs: 3_600_000,
  // A session of ssh or of a database waits for as long as somebody sleeps; who is gone is found by TCP's own probes.
  rawIdleMs: 86_400_000,
  bytesPerSecond: 0,
};

/**
 * Connections to one sandbox that all processes of the edge have at a time, where the settings say nothing: fewer than a
 * gateway opens to it (512). Were they as many, one client could take them all and keep everybody out, clients of connect
 * tokens too; so it loses them to whoever comes, one by one, and there are always some for other ways.
 */
export const CONNECTIONS_PER_SANDBOX = 384;
/** A client that answers no probe is gone: from this time of silence on it is probed, in milliseconds. */
export const KEEP_ALIVE_MS = 60_000;
/** Raw ports that cannot be listened at are tried again so often, in milliseconds. */
export const LISTEN_AGAIN_MS = 1_000;
/** Connections that the kernel keeps for one raw port until they are taken. */
export const RAW_BACKLOG = 511;
/** What a tunnel that has been silent may send at once, of the bytes of a second. */
export const BURST_SECONDS = 0.25;
/** For the last bytes to reach a client whose port could not be opened, in milliseconds. */
export const LAST_WORD_MS = 1_000;
/** Connections that were turned away and get a line of the log each: so many at once, then so many each second. */
export const REFUSAL_LINES_BURST = 100;
export const REFUSAL_LINES_PER_SECOND = 5;
/** The others are told so often, in milliseconds, with their number, for so many ports and reasons apart. */
export const REFUSALS_TOLD_MS = 60_000;
export const REFUSALS_APART = 256;
