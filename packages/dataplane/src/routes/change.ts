// One change of the truth, checked: as the api tells it in parts, and as it is kept on disk.
import { isId, isTunnelLabel, PortKind as WireKind, RouteState as WireState } from "@sallyport/contracts";
import { parseCidr } from "@sallyport/policy";
import { z } from "zod";
import { MAX_ENTRIES_PER_PART, MAX_INBOUND_CIDRS, MAX_KEY_SET_CHARACTERS, MAX_TUNNELS_PER_ROUTE } from "./limits.ts";
import type { PortKind, Route, RouteState } from "./route.ts";

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

const KINDS = new Map<number, PortKind>([
  [WireKind.TLS, "tls"],
  [WireKind.H2, "h2"],
  [WireKind.RAW, "raw"],
]);

const idOf = (kind: "sandbox" | "workspace" | "instance") =>
  z.string().refine((text) => isId(kind, text), `is no id of a ${kind}`);
/** A path that fits into a socket's address (unix(7)), or none: the edge's own gateway. */
const gateway = z
  .string()
  .max(107)
  .regex(/^(\/[\x21-\x7e]+)?$/, "is no absolute path");
const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const port = z.number().int().min(1).max(65_535);
const label = z.string().refine(isTunnelLabel, "is no label of a tunnel");
/** One that cannot be read lets nobody in: the whole step is refused. */
const cidrs = z.array(z.string().refine(isCidr, "is no CIDR")).max(MAX_INBOUND_CIDRS);
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
        tunnels: z
          .array(
            z.object({
              port,
              kind: z.number().transform((kind, context) => {
                const known = KINDS.get(kind);
                if (known !== undefined) return known;
                context.addIssue("is no kind of port");
                return z.NEVER;
              }),
              label,
              publicPort: port.optional(),
              proxyProtocol: z.boolean(),
            }),
          )
          .max(MAX_TUNNELS_PER_ROUTE)
          .default([]),
        inboundCidrAllowlist: z.object({ cidrs }).optional(),
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
  const routes = part.routes.map(({ endedAt, inboundCidrAllowlist, ...route }) => ({
    ...route,
    gateway: route.gateway === "" ? ownGateway : route.gateway,
    endedAtMs: endedAt,
    inbound: inboundCidrAllowlist?.cidrs,
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
      tunnels: z
        .array(
          z.object({
            port,
            kind: z.enum(["tls", "h2", "raw"]),
            label,
            publicPort: port.optional(),
            proxyProtocol: z.boolean(),
          }),
        )
        .optional(),
      inbound: cidrs.optional(),
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

function isCidr(text: string): boolean {
  try {
    parseCidr(text);
    return true;
  } catch {
    return false;
  }
}
