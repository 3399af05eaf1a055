// One change of the truth, checked: as the api tells it in parts, and as it is kept on disk.
import { isId, RouteState as WireState } from "@sallyport/contracts";
import { z } from "zod";
import { MAX_ENTRIES_PER_PART, MAX_KEY_SET_CHARACTERS } from "./limits.ts";
import type { Route, RouteState } from "./route.ts";

/** One token that is revoked before its time. */
export interface RevokedToken {
  readonly tokenId: string;
  readonly sandboxId: string;
  /** From then on nobody needs to remember it. Milliseconds since the epoch. */
  readonly expiresAtMs: number;
}

/** A sandbox with too many revoked tokens: all of its tokens up to this epoch are refused. */
export interface ClosedSandbox {
  readonly sandboxId: string;
  readonly epoch: number;
  /** Milliseconds since the epoch. */
  readonly untilMs: number;
}

/** What is applied in one step. */
export interface RouteChange {
  readonly revision: number;
  /** Everything known before is forgotten. */
  readonly reset: boolean;
  readonly routes: readonly Route[];
  readonly revoked: readonly RevokedToken[];
  /** What this edge has closed by itself: it stands in its own snapshots alone. */
  readonly closed?: readonly ClosedSandbox[] | undefined;
  /** A JWK set as JSON; unset: as before. */
  readonly keySet?: string | undefined;
}

const STATES = new Map<number, RouteState>([
  [WireState.STARTING, "starting"],
  [WireState.RUNNING, "running"],
  [WireState.ENDED, "ended"],
]);

const idOf = (kind: "sandbox" | "workspace" | "instance") =>
  z.string().refine((text) => isId(kind, text), `is no id of a ${kind}`);
/** A path that fits into a socket's address (unix(7)), or none: the edge's own gateway. */
const gateway = z
  .string()
  .max(107)
  .regex(/^(\/[\x21-\x7e]+)?$/, "is no absolute path");
const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const timeMs = z.date().transform((date) => date.getTime());

const told = z.object({
  platformId: z.string(),
  revision: count,
  reset: z.boolean(),
  complete: z.boolean(),
  routes: z
    .array(
      z.object({
        sandboxId: idOf("sandbox"),
        workspaceId: idOf("workspace"),
        instanceId: idOf("instance"),
        state: z.number().transform((state, context) => {
          const known = STATES.get(state);
          if (known !== undefined) return known;
          context.addIssue("is no state of a route");
          return z.NEVER;
        }),
        gateway,
        tokenEpoch: count,
        endedAt: timeMs.optional(),
      }),
    )
    .max(MAX_ENTRIES_PER_PART),
  revoked: z
    .array(
      z.object({ tokenId: z.string().regex(/^[\x21-\x7e]{1,128}$/), sandboxId: idOf("sandbox"), expiresAt: timeMs }),
    )
    .max(MAX_ENTRIES_PER_PART),
  keySet: z.string().max(MAX_KEY_SET_CHARACTERS).optional(),
});

/** A part as the api told it. */
export interface ToldPart extends RouteChange {
  readonly platformId: string;
  /** False: more parts of the same revision follow. */
  readonly complete: boolean;
}

/** Checks what the api told; `ownGateway` stands for the gateway that a route leaves out. Throws a ZodError. */
export function parsePart(response: unknown, ownGateway: string): ToldPart {
  const part = told.parse(response);
  const routes = part.routes.map(({ endedAt, ...route }) => ({
    ...route,
    gateway: route.gateway === "" ? ownGateway : route.gateway,
    endedAtMs: endedAt,
  }));
  const revoked = part.revoked.map(({ expiresAt, ...token }) => ({ ...token, expiresAtMs: expiresAt }));
  return { ...part, routes, revoked };
}

const stored = z.object({
  revision: count,
  reset: z.boolean(),
  routes: z.array(
    z.object({
      sandboxId: idOf("sandbox"),
      workspaceId: idOf("workspace"),
      instanceId: idOf("instance"),
      state: z.enum(["starting", "running", "ended"]),
      gateway,
      tokenEpoch: count,
      endedAtMs: count.optional(),
    }),
  ),
  revoked: z.array(z.object({ tokenId: z.string(), sandboxId: idOf("sandbox"), expiresAtMs: count })),
  closed: z.array(z.object({ sandboxId: idOf("sandbox"), epoch: count, untilMs: count })).optional(),
  keySet: z.string().max(MAX_KEY_SET_CHARACTERS).optional(),
});

/** Checks what was kept on disk. Throws a ZodError. */
export function parseStoredChange(value: unknown): RouteChange {
  return stored.parse(value);
}
