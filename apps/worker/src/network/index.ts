// The names of this room. Nothing else of it is used from outside.

export { checkRules } from "./check-rules.ts";
export type { SlotNetwork, WorkerNetwork } from "./contract.ts";
export { startWorkerNetwork } from "./network.ts";
