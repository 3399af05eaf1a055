// What instances are made with: every neighbour of this room, as the room needs it.
import type { Clock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import type { Gateway } from "../gateway/client.ts";
import type { WorkerNetwork } from "../network/index.ts";
import type { Images } from "../runtime/images.ts";
import type { SandboxRuntime } from "../runtime/runtime.ts";
import type { Gate } from "./gate.ts";
import type { WarmSandboxes } from "./pool.ts";
import type { InstanceRecord } from "./record.ts";

/** Where records are kept. */
export interface RecordStore {
  save(record: InstanceRecord): Promise<void>;
  remove(instanceId: string): Promise<void>;
}

export interface InstanceParts {
  readonly runtime: SandboxRuntime;
  readonly network: Pick<
    WorkerNetwork,
    "acquireSlot" | "adoptSlot" | "applyPolicy" | "releaseSlot" | "readdress" | "boundSlots"
  >;
  readonly gateway: Gateway;
  readonly images: Images;
  readonly store: RecordStore;
  /** Tells the api. */
  readonly report: (record: InstanceRecord) => void;
  /** Sandboxes made ahead. */
  readonly warm: WarmSandboxes;
  /** How many may start, and how many may be taken down, at one time. */
  readonly startGate: Gate;
  readonly stopGate: Gate;
  readonly bootId: string;
  readonly clock: Clock;
  readonly logger: Logger;
}
