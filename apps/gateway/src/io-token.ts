// Verifies the tokens of SandboxIO: Ed25519 JWTs of this platform's api, for one instance of one sandbox.
import type { Metadata } from "@grpc/grpc-js";
import type { Clock } from "@sallyport/appkit/clock";
import { AppError } from "@sallyport/appkit/errors";
import type { Authenticate, Principal } from "@sallyport/appkit/principals";
import { AUTHORIZATION_KEY, isId } from "@sallyport/contracts";
import { decodeProtectedHeader, errors, jwtVerify } from "jose";
import { z } from "zod";
import type { Keys } from "./keys.ts";

/** What the token is for. */
const AUDIENCE = "sallyport-io";
const MAX_TOKEN_CHARACTERS = 2_048;
const MAX_CACHED_TOKENS = 1_024;
const BEARER = /^Bearer ([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/;

const claims = z.object({
  ws: z.string().refine((id) => isId("workspace", id)),
  sub: z.string().refine((id) => isId("sandbox", id)),
  inst: z.string().refine((id) => isId("instance", id)),
  exp: z.number(),
});

interface Verified {
  readonly principal: Principal;
  readonly expiresAtMs: number;
}

/**
 * Proves callers by `authorization: Bearer <token>`. A verified token is remembered by its exact characters until it
 * ends or the key set changes. Undefined when nothing was proven; throws Unauthenticated for a token that has ended.
 */
export function ioAuthenticate(keys: Keys, clock: Clock): Authenticate {
  let verified = new Map<string, Verified>();
  let revision = keys.revision;
  return async (metadata) => {
    const token = bearerOf(metadata);
    if (token === undefined) return undefined;
    if (revision !== keys.revision) {
      revision = keys.revision;
      verified = new Map();
    }
    const cached = verified.get(token);
    if (cached !== undefined && cached.expiresAtMs > clock.now()) return cached.principal;
    verified.delete(token);
    const fresh = await verify(token, keys, clock);
    if (fresh === undefined) return undefined;
    for (const oldest of verified.keys()) {
      if (verified.size < MAX_CACHED_TOKENS) break;
      verified.delete(oldest);
    }
    verified.set(token, fresh);
    return fresh.principal;
  };
}

async function verify(token: string, keys: Keys, clock: Clock): Promise<Verified | undefined> {
  const platformId = keys.platformId;
  if (platformId === undefined) throw new AppError("Unavailable", "the keys of the platform are not known yet");
  try {
    const { alg, kid } = decodeProtectedHeader(token);
    const key = alg === "EdDSA" && kid !== undefined ? keys.find(kid) : undefined;
    if (key === undefined) return undefined;
    const { payload } = await jwtVerify(token, key, {
      algorithms: ["EdDSA"],
      issuer: `sallyport:${platformId}`,
      audience: AUDIENCE,
      requiredClaims: ["exp"],
      currentDate: new Date(clock.now()),
    });
    const { data } = claims.safeParse(payload);
    if (data === undefined) return undefined;
    const principal: Principal = { kind: "io_grant", workspaceId: data.ws, sandboxId: data.sub, instanceId: data.inst };
    return { principal, expiresAtMs: data.exp * 1_000 };
  } catch (error) {
    if (error instanceof errors.JWTExpired) {
      throw new AppError("Unauthenticated", "the token has ended", { hint: "ask the api for a new one" });
    }
    if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
    throw error;
  }
}

/** The one token of a call, if it is written in the one canonical way. */
function bearerOf(metadata: Metadata): string | undefined {
  const values = metadata.get(AUTHORIZATION_KEY);
  const [value] = values;
  if (values.length !== 1 || typeof value !== "string" || value.length > MAX_TOKEN_CHARACTERS) return undefined;
  const token = BEARER.exec(value)?.[1];
  return token?.split(".").every(isCanonical) === true ? token : undefined;
}

/** base64url has spellings that differ and decode alike (unused bits of the last character). */
function isCanonical(part: string): boolean {
  return Buffer.from(part, "base64url").toString("base64url") === part;
}
