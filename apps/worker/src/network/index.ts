// The names of this room. Nothing else of it is used from outside.

export type { NetworkErrorCode } from "./errors.ts";
export { NetworkError } from "./errors.ts";
export type { RemoveNetworkOptions, SlotNetwork, WorkerNetwork, WorkerNetworkOptions } from "./network.ts";
export { removeWorkerNetwork, startWorkerNetwork } from "./network.ts";
