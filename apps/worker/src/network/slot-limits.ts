// What one slot may take of what all share: the router's table of connections, its processor time, the uplink.

export interface SlotLimits {
  /** Connections to the outside that are open at one time. */
  readonly connections: number;
  readonly newConnectionsPerSecond: number;
  /** Each way. */
  readonly packetsPerSecond: number;
  /** Megabits per second, each way; 0: no bound. */
  readonly bandwidthMbit: number;
}

export const DEFAULT_SLOT_LIMITS: SlotLimits = Object.freeze({
  connections: 8_192,
  newConnectionsPerSecond: 1_000,
  packetsPerSecond: 200_000,
  bandwidthMbit: 0,
});
