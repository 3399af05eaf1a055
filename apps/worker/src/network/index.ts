// The names of this room. Nothing else of it is used from outside.

export { checkRules } from "./check-rules.ts";
export type { SlotNetwork, WorkerNetwork, WorkerNetworkOptions } from "./contract.ts";
export type { DenialDetail } from "./denial-book.ts";
export { startWorkerNetwork } from "./network.ts";
export { DEFAULT_SLOT_LIMITS, type SlotLimits } from "./slot-limits.ts";
