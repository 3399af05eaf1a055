// The way to one sandbox, as an edge knows it.

/** `starting`: whoever comes may wait a little. `ended`: going or gone; known for an hour, then forgotten. */
export type RouteState = "starting" | "running" | "ended";

/** The way to one sandbox. Immutable: a change is another object. */
export interface Route {
  readonly sandboxId: string;
  readonly workspaceId: string;
  /** The incarnation that connections are opened to. */
  readonly instanceId: string;
  readonly state: RouteState;
  /** Where its gateway opens connections: the path of a Unix socket. */
  readonly gateway: string;
  /** Tokens of an earlier epoch do not count. */
  readonly tokenEpoch: number;
  /** Milliseconds since the epoch; of an ended route. */
  readonly endedAtMs?: number | undefined;
}
