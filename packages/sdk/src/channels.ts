// The gRPC channels of a client, one to each address. They hold no program open: grpc-js keeps the event loop alive only
// while a call runs.
import type { ChannelCredentials, ChannelOptions } from "@grpc/grpc-js";
import { Channel, connectivityState } from "@grpc/grpc-js";
import { MAX_CHUNK_BYTES } from "@sallyport/contracts";
import { isLoopback } from "./config.ts";

/** A channel that comes up no more for so long is given up, and another made. */
const MAX_DOWN_MS = 10_000;
const LOOK_EVERY_MS = 2_000;

const CHANNEL_OPTIONS: ChannelOptions = {
  "grpc.primary_user_agent": "sallyport-sdk",
  "grpc.keepalive_time_ms": 20_000,
  "grpc.keepalive_timeout_ms": 10_000,
  // A message of the greatest size at once; with less, each waits for its reader's answer several times.
  "grpc-node.flow_control_window": MAX_CHUNK_BYTES,
  // A peer that restarts is found again soon.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.min_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  // A service config from DNS could change how calls are made.
  "grpc.service_config_disable_resolution": 1,
  // Closing this client closes its connections, and nobody else's.
  "grpc.use_local_subchannel_pool": 1,
};

interface Entry {
  readonly channel: Channel;
  /** When it was last seen up, or not wanted; by `performance.now()`. */
  lastFineMs: number;
}

/**
 * Channels by address, "host:port". One that stays down is closed, so that the calls that wait for it fail and are made again
 * over another: grpc-js waits without end for a peer that takes a connection and never says a word, as one does that is
 * killed or hangs just then, and tries no other meanwhile.
 */
export class Channels {
  readonly #credentials: ChannelCredentials;
  readonly #entries = new Map<string, Entry>();
  #looking: NodeJS.Timeout | undefined;

  constructor(credentials: ChannelCredentials) {
    this.#credentials = credentials;
  }

  get(address: string): Channel {
    const entry = this.#entries.get(address);
    if (entry !== undefined) return entry.channel;
    // A proxy from the environment is not for this machine's own loopback, least of all in plaintext.
    const proxy = isLoopback(address.replace(/:\d+$/, "")) ? { "grpc.enable_http_proxy": 0 } : {};
    const channel = new Channel(address, this.#credentials, { ...CHANNEL_OPTIONS, ...proxy });
    this.#entries.set(address, { channel, lastFineMs: performance.now() });
    this.#looking ??= setInterval(() => this.#giveUpHung(), LOOK_EVERY_MS).unref();
    return channel;
  }

  close(): void {
    clearInterval(this.#looking);
    this.#looking = undefined;
    for (const { channel } of this.#entries.values()) channel.close();
    this.#entries.clear();
  }

  #giveUpHung(): void {
    for (const [address, entry] of this.#entries) {
      if (!hasHung(entry)) continue;
      this.#entries.delete(address);
      entry.channel.close();
    }
  }
}

function hasHung(entry: Entry): boolean {
  const state = entry.channel.getConnectivityState(false);
  const now = performance.now();
  if (state === connectivityState.READY || state === connectivityState.IDLE) entry.lastFineMs = now;
  return now - entry.lastFineMs >= MAX_DOWN_MS;
}
