// The names of this room. Nothing else of it is used from outside.

export type { SlotNetwork, WorkerNetwork } from "./contract.ts";
export { startWorkerNetwork } from "./network.ts";
