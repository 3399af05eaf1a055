// The one place where what came over the wire becomes an error of the SDK.
import type { ServiceError } from "@grpc/grpc-js";
import { codeOfGrpcStatus, decodeStatusDetails, isErrorCode, STATUS_DETAILS_KEY } from "@sallyport/contracts";
import type { SallyportError } from "./errors.ts";
import { sdkError } from "./errors.ts";
import type { Scope } from "./scope.ts";

/** A failed attempt of a call. */
export interface Failure {
  readonly error: Error;
  /** Nothing was decided: the same attempt may be made again, if the call bears repetition. */
  readonly broken: boolean;
  /** A live server said so, in contrast to a connection that broke. */
  readonly answered: boolean;
  /** When the server asks to be asked again. */
  readonly retryAfterMs?: number | undefined;
}

/** Statuses that a broken connection takes in grpc-js, beside Unavailable: reset streams, cut sessions, missing trailers. */
const BREAK_STATUSES: ReadonlySet<number> = new Set([1, 2, 4, 13, 14]);

/** How the options of this SDK are called on the wire. Knowledge as a table; anything else keeps its name. */
const SDK_FIELDS: Readonly<Record<string, string>> = {
  app_name: "app",
  appName: "app",
  cpu_millis: "cpu",
  cpuMillis: "cpu",
  memory_mib: "memoryMiB",
  memoryMib: "memoryMiB",
  lifetime_ms: "lifetimeMs",
  idle_timeout_ms: "idleTimeoutMs",
  sleep_after_ms: "sleepAfterMs",
  disk_mib: "diskMiB",
  diskMib: "diskMiB",
  after_seq: "afterSeq",
  "source.registry_reference": "image",
  "source.dockerfile.dockerfile": "path",
  "command.argv": "command",
  sandbox_id: "id",
  sandboxId: "id",
  image_id: "id",
  exec_id: "id",
  token_id: "id",
  user_metadata: "userMetadata",
  expires_in_ms: "expiresInMs",
  encrypted_ports: "encryptedPorts",
  h2_ports: "h2Ports",
  unencrypted_ports: "unencryptedPorts",
  proxy_protocol_ports: "proxyProtocolPorts",
  inbound_cidr_allowlist: "inboundCidrAllowlist",
  "inbound_cidr_allowlist.cidrs": "inboundCidrAllowlist",
};

/** A field in the words of this SDK: `network.allow.cidrs[2]` → `network.allow[2]`, `memory_mib` → `memoryMiB`. */
export function sdkField(field: string): string {
  const [, head = field, index = ""] = /^(.*?)((?:\[\d+\])?)$/s.exec(field) ?? [];
  return `${SDK_FIELDS[head] ?? oneList(head)}${index}`;
}

/** The two lists of a policy on the wire are one here; each call fills one of them. */
function oneList(text: string): string {
  return text.replaceAll(/\bnetwork\.allow\.(?:cidrs|rules)\b/g, "network.allow");
}

/** Reads a thrown thing of a call. Rethrows programming errors as they are. */
export function readFailure(thrown: unknown, scope: Scope): Failure {
  if (scope.signal.aborted) return decided(scope.abortError());
  // Errors of ours come from a call within the attempt, which has done its own riding out.
  if (!isServiceError(thrown)) return decided(thrown instanceof Error ? thrown : new Error(String(thrown)));
  const detail = detailOf(thrown);
  const misshapen = detail === undefined ? misshapenError(thrown) : undefined;
  if (misshapen !== undefined) return decided(misshapen);
  if (detail === undefined && BREAK_STATUSES.has(thrown.code)) return { ...lost(thrown, scope), answered: false };
  const code = detail !== undefined && isErrorCode(detail.code) ? detail.code : codeOfGrpcStatus(thrown.code);
  const field = detail?.field === undefined ? undefined : sdkField(detail.field);
  const error = sdkError(code, renamed(thrown.details, detail?.field, field), {
    field,
    hint: detail?.hint,
    requestId: detail?.requestId,
    retryAfterMs: detail?.retryAfterMs,
    cause: detail === undefined ? thrown : undefined,
  });
  const broken = code === "Unavailable" || code === "DeadlineExceeded";
  return { error, broken, answered: true, retryAfterMs: detail?.retryAfterMs };
}

/** Of a message that this end could not write or read, which grpc-js calls Internal, as it does a reset stream. */
function misshapenError(thrown: ServiceError): SallyportError | undefined {
  const { code, details } = thrown;
  if (code !== 13) return undefined;
  if (details.startsWith("Request message serialization failure")) {
    // What the types of the options allow has a form.
    return sdkError("InvalidArgument", `an option is of another type than it may be: ${details}`, { cause: thrown });
  }
  if (!details.startsWith("Response message parsing error")) return undefined;
  return sdkError("Internal", `an answer could not be read: ${details}`, { cause: thrown });
}

function decided(error: Error): Failure {
  return { error, broken: false, answered: true };
}

/** The connection, not the peer, ended the attempt; or the attempt ran into its deadline. */
function lost(thrown: ServiceError, scope: Scope): { error: SallyportError; broken: boolean } {
  if (scope.remainingMs === 0) return { error: scope.deadlineError(), broken: false };
  const message = `the connection failed: ${thrown.details}`;
  const hint = thrown.details.includes("certificate")
    ? "set SALLYPORT_CA_FILE to the authority that the platform's certificate is from"
    : "is the platform up? `sallyport doctor` tells";
  return { error: sdkError("Unavailable", message, { hint, cause: thrown }), broken: true };
}

/** Messages begin with the field where they name one: it is spelled as the caller knows it. */
function renamed(message: string, wire: string | undefined, field: string | undefined): string {
  const rest = wire !== undefined && message.startsWith(`${wire}:`) ? message.slice(wire.length) : undefined;
  return rest === undefined ? message : `${field}${oneList(rest)}`;
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "number" && "details" in thrown;
}

function detailOf(error: ServiceError): ReturnType<typeof decodeStatusDetails> {
  const bytes = error.metadata?.get(STATUS_DETAILS_KEY)[0];
  return bytes instanceof Uint8Array ? decodeStatusDetails(bytes) : undefined;
}
