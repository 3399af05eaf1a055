// Numbers of DNS messages, with where they are written down.

export const HEADER_BYTES = 12;
/** RFC 1035 4.1.1. */
export const FLAG = {
  response: 0x8000,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
} as const;
export const CLASS_IN = 1;
/** Longest message over UDP without EDNS: RFC 1035 4.2.1. */
export const PLAIN_UDP_BYTES = 512;
/** Longest that we send or take over UDP: no link is so narrow that it would be cut in pieces (RFC 9715). */
export const UDP_BYTES = 1232;
export const TCP_BYTES = 65_535;

/** RFC 1035 4.1.1 and 6891 9. */
export const RCODE = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  noSuchName: 3,
  notImplemented: 4,
  refused: 5,
  badVersion: 16,
} as const;
export type Rcode = (typeof RCODE)[keyof typeof RCODE];

/** Numbers of the types that anything here asks about. */
export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  NAPTR: 35,
  OPT: 41,
  SSHFP: 44,
  TLSA: 52,
  SVCB: 64,
  HTTPS: 65,
  CAA: 257,
} as const;

/** An extended error of RFC 8914: why an answer is not what was hoped for. */
export interface ExtendedError {
  readonly code: number;
  readonly text: string;
}
/** RFC 8914 4. */
export const EDE = { other: 0, blocked: 15, notSupported: 21, noReachableAuthority: 22, synthesized: 29 } as const;
export const EDNS_OPTION_EXTENDED_ERROR = 15;

/** Bytes that are no message of the kind expected, or break a rule of the format. */
export class MessageError extends Error {
  override readonly name = "MessageError";
}
