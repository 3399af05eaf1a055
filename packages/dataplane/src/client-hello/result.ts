// What a connection's first bytes are: a hello, the beginning of one, or nothing that TLS can be spoken with.
import type { AlertName } from "./alert.ts";

/** More bytes may make it a hello. */
export interface NeedMore {
  readonly state: "need-more";
}

/** A whole ClientHello. */
export interface ClientHello {
  readonly state: "hello";
  /** A host name in lower case without a final dot; undefined: the client names none. */
  readonly serverName: string | undefined;
  /** ALPN names as latin1, in the client's order, reserved ones (RFC 8701) among them; empty: it sends no such list. */
  readonly alpn: readonly string[];
  /**
   * Versions such as 0x0304 (TLS 1.3), in the client's order, without reserved ones (RFC 8701). Of a client that sends no
   * list, the one newest version that it speaks.
   */
  readonly supportedVersions: readonly number[];
  /** Bytes of the records that hold the hello: what comes behind them belongs to the handshake too. */
  readonly byteLength: number;
}

/** Why bytes are no hello; `plain-http` and `ssl2` are other protocols, which a refusal may be put in words for. */
export type RefusalReason =
  /** A request in clear text. */
  | "plain-http"
  /** A hello of SSL 2, or of a client that still begins with one. */
  | "ssl2"
  | "not-tls"
  /** A record of another type, empty, or too long. */
  | "record"
  /** Another handshake message, or more than the hello in its last record. */
  | "message"
  | "too-long"
  | "malformed"
  | "duplicate-extension"
  /** The name is none that a host can have. */
  | "server-name";

/** The bytes are no ClientHello, and no more bytes make them one. */
export interface HelloRefusal {
  readonly state: "refused";
  readonly reason: RefusalReason;
  /** What to answer a client that speaks TLS. */
  readonly alert: AlertName;
}

export type ClientHelloResult = NeedMore | ClientHello | HelloRefusal;

const ALERTS: Readonly<Record<RefusalReason, AlertName>> = {
  "plain-http": "unexpected_message",
  ssl2: "protocol_version",
  "not-tls": "unexpected_message",
  record: "unexpected_message",
  message: "unexpected_message",
  "too-long": "illegal_parameter",
  malformed: "decode_error",
  "duplicate-extension": "illegal_parameter",
  "server-name": "unrecognized_name",
};

/** A refusal with the alert of its reason, or a closer one. */
export function refusal(reason: RefusalReason, alert: AlertName = ALERTS[reason]): HelloRefusal {
  return { state: "refused", reason, alert };
}
