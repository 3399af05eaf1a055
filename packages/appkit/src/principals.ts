// Who is calling. A listener knows how its callers prove themselves; proto/ says who may call what; this file refuses
// the rest. Default deny: a method that names no principal is nobody's.
import type { Metadata } from "@grpc/grpc-js";
import { METHOD_PRINCIPALS } from "@sallyport/contracts";
import { AppError } from "./errors.ts";

/** A proven caller. */
export type Principal =
  | { readonly kind: "workspace"; readonly workspaceId: string; readonly apiTokenId: string }
  | { readonly kind: "operator" }
  | { readonly kind: "worker" }
  | { readonly kind: "gateway" }
  | { readonly kind: "edge" }
  | {
      readonly kind: "io_grant";
      readonly workspaceId: string;
      readonly sandboxId: string;
      readonly instanceId: string;
    };

/** Proves the caller of one call from its metadata; undefined when nothing was proven. */
export type Authenticate = (metadata: Metadata) => Promise<Principal | undefined>;

/** For a listener that only one kind of caller can reach, such as a Unix socket of restricted mode. */
export function everyCallerIs(principal: Principal): Authenticate {
  return () => Promise.resolve(principal);
}

/** Returns the caller, or throws Unauthenticated (nobody proven) or PermissionDenied (not among the method's principals). */
export async function authorize(path: string, metadata: Metadata, authenticate: Authenticate): Promise<Principal> {
  const allowed = METHOD_PRINCIPALS[path] ?? [];
  const principal = await authenticate(metadata);
  if (principal === undefined) {
    throw new AppError("Unauthenticated", "no valid credentials", {
      hint: "send a token of this platform as `authorization: Bearer <token>`",
    });
  }
  if (!allowed.includes(principal.kind)) {
    throw new AppError("PermissionDenied", `${path} is not for a ${principal.kind} caller`);
  }
  return principal;
}
