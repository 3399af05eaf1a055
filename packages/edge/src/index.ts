// What every edge has at its door.

export { AccessLog } from "./access-log.ts";
export type { Refused } from "./admission.ts";
export { Admission } from "./admission.ts";
export { Announcements } from "./announcements.ts";
export { ApiLink } from "./api-link.ts";
export { certificatesFromFiles } from "./certificate-files.ts";
export type { Certificates } from "./certificates.ts";
export type { DayLogOptions } from "./day-log.ts";
export type {
  Answer,
  ClientEnds,
  DoorAnswer,
  DoorRefusal,
  SecureConnection,
  TurnedAway,
  UnopenedConnection,
} from "./door-answer.ts";
export { edgeCertificates } from "./edge-certificates.ts";
export { edgeId } from "./edge-id.ts";
export type { EdgeLimits } from "./edge-limits.ts";
export {
  ACCESS_LOG_DAY_BYTES,
  ACCESS_LOG_TEXT_CHARACTERS,
  DEFAULT_EDGE_LIMITS,
} from "./edge-limits.ts";
export type { Http2RateLimits } from "./http2-rates.ts";
export { ClientFault, Http2Rates } from "./http2-rates.ts";
export type { ServedHosts } from "./local-certificates.ts";
export { logText } from "./log-text.ts";
export type { Gauge } from "./metrics.ts";
export { Counter, gaugeText, Histogram } from "./metrics.ts";
export { openMetricsDoor } from "./metrics-door.ts";
export { listenAtOwnSocket } from "./own-socket.ts";
export { plainAddress } from "./peers.ts";
export { endsOf } from "./proxy-header.ts";
export { RareWarning } from "./rare-warning.ts";
export { domainName, flag, listOf, peers, platformId } from "./settings.ts";
export { StateFolder } from "./state-folder.ts";
export { takeOver } from "./take-over.ts";
export type { TicketKeysOptions } from "./ticket-keys.ts";
export { TicketKeys } from "./ticket-keys.ts";
export type { AddressFrom, TlsDoorOptions } from "./tls-door.ts";
export { TlsDoor } from "./tls-door.ts";
export { TLS_SETTINGS } from "./tls-settings.ts";
export { TokenBucket } from "./token-bucket.ts";
