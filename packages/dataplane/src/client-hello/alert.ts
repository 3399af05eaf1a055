// TLS alerts (RFC 8446, section 6): how a connection is refused in words that its client understands.

/** Codes of the alerts that refuse a connection at its hello. */
const CODES = {
  unexpected_message: 10,
  record_overflow: 22,
  illegal_parameter: 47,
  decode_error: 50,
  protocol_version: 70,
  internal_error: 80,
  unrecognized_name: 112,
  no_application_protocol: 120,
} as const;

/** An alert by its name in the RFC. */
export type AlertName = keyof typeof CODES;

const ALERT_RECORD = 21;
const FATAL = 2;

/** The record that tells a client why it is refused; the connection's end has to follow it. */
export function formatAlert(alert: AlertName): Buffer {
  // Version 3.3 whatever comes to be spoken (section 5.1): readers look at the major number only.
  return Buffer.from([ALERT_RECORD, 3, 3, 0, 2, FATAL, CODES[alert]]);
}
