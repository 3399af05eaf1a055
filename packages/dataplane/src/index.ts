// Bytes between edges, gateway and sandbox: open a connection, relay it.

export type { ConnectRequest, ConnectStatus } from "./connect-request.ts";
export {
  CONNECT_STATUSES,
  formatConnectAnswer,
  formatConnectRequest,
  GRANT_PORT_HEADER,
  MAX_CONNECT_HEAD_BYTES,
  parseConnectAnswer,
  parseConnectRequest,
} from "./connect-request.ts";
export { Deadline } from "./deadline.ts";
export { freeRead, isFreeable } from "./free-read.ts";
export type { GonePeerOptions } from "./gone-peers.ts";
export { noticeGonePeer } from "./gone-peers.ts";
export { holdWrites } from "./hold-writes.ts";
export type { OpenErrorCode, OpenOptions } from "./open.ts";
export { OpenError, openPort } from "./open.ts";
export type { DirectPort } from "./open-direct.ts";
export { openPortDirect } from "./open-direct.ts";
export { readHead } from "./read-head.ts";
export type { RelayEnd, RelayOptions, RelayResult } from "./relay.ts";
export { relay } from "./relay.ts";
export type { ResetSide, Resets } from "./resets.ts";
export { mapResets, reset } from "./resets.ts";
