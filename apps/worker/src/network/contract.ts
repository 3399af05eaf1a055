// What the rest of the worker sees of its network: the options it gives, the slots and verbs it gets.

import { join } from "node:path";
import type { Clock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import type { NetworkRules } from "@sallyport/policy";
import type { DenialDetail } from "./denial-book.ts";
import type { ResolverOptions } from "./look-ups.ts";
import type { SlotLimits } from "./slot-limits.ts";

export interface WorkerNetworkOptions {
  /** Lower-case ULID of the platform. */
  readonly platformId: string;
  /** A directory that only root can enter; the journal lives in `network/` below it. */
  readonly stateDirectory: string;
  /** The user who alone may open connections into sandboxes. */
  readonly gatewayUid: number;
  /** Who answers look-ups of slots whose mode is `open`. Nobody when unset. */
  readonly resolver?: ResolverOptions;
  /** What one slot may take. Default `DEFAULT_SLOT_LIMITS`. */
  readonly limits?: SlotLimits;
  /** Path of the sallyport-nft program. */
  readonly helper: string;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Which /30 of 169.254.64.0/18 the uplink takes, 0 to 4095. Default: a free one, the search beginning by platform id. */
  readonly uplinkIndex?: number | undefined;
  /** Slots kept ready. Default 2. */
  readonly poolSize?: number;
  /** Shared by all platforms of the machine. Default /run/sallyport-forwarding. */
  readonly forwardingDirectory?: string;
  readonly watchIntervalMs?: number;
  /** Path of the sallyport-denials program. Nobody hears what is denied when unset. */
  readonly denialReader?: string;
  /** Packets of a slot that is handed out were denied: told about once a second, bounded by slot. */
  readonly onDenials?: (slot: number, details: readonly DenialDetail[]) => void;
  /** The machine's own addresses are others now: canonical CIDRs, as `machineAddresses` gives them. */
  readonly onMachineAddresses?: (cidrs: readonly string[]) => void;
  /** The router's rules are not what they should be: stop the sandboxes. They are being loaded again meanwhile. */
  readonly onRulesLost?: () => Promise<void>;
  /** They are back, and whoever was to stop has stopped: let them go on. Called again after a failure. */
  readonly onRulesRestored?: () => Promise<void>;
}

/** One network place for one instance. */
export interface SlotNetwork {
  readonly slot: number;
  /** For the OCI spec's network namespace. */
  readonly netnsPath: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly routerIpv4: string;
  readonly routerIpv6: string;
  readonly interfaceName: string;
}

export interface WorkerNetwork extends AsyncDisposable {
  /** Where the gateway must run. */
  readonly routerNetnsPath: string;
  /** A fresh slot at verdict drop: nothing gets out of it, the gateway gets in. Throws NetworkError `NoSlotLeft`. */
  acquireSlot(signal?: AbortSignal): Promise<SlotNetwork>;
  /** A slot that was handed out before the worker was restarted, its rules as journaled; `undefined` where it is gone. */
  adoptSlot(slot: number): Promise<SlotNetwork | undefined>;
  /** Every slot that is handed out, those of an earlier worker included: release what no instance claims. */
  boundSlots(): readonly number[];
  /**
   * Other rules for a slot, in one transaction. Resolves only after the kernel's answer.
   *
   * @throws NetworkError `RulesNotApplied` (the old rules hold), `InvalidRules`, `NoSuchSlot`.
   */
  applyPolicy(slot: Pick<SlotNetwork, "slot">, rules: NetworkRules): Promise<void>;
  /** The machine's own addresses, for the fleet's others: canonical CIDRs, without what every machine has. */
  machineAddresses(): readonly string[];
  /**
   * Addresses of the fleet's machines, which no slot reaches; they are remembered. Those that are no CIDRs are left out.
   *
   * @throws NetworkError `RulesNotApplied` where the kernel does not have them: it is to have them with the next look.
   */
  setFleet(cidrs: readonly string[]): Promise<void>;
  /** Addresses and routes put back; call before every (re)start of a runtime in the slot. */
  readdress(slot: Pick<SlotNetwork, "slot">): Promise<void>;
  /** Idempotent. End the sandbox first: a process inside keeps its namespace, though without a cable. */
  releaseSlot(slot: number): Promise<void>;
  /** Everything goes: slots, router, uplink, host table, settings, journal. */
  teardown(): Promise<void>;
  /** Stops watching and talking; slots, rules and the router stay, and running sandboxes with them. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** What `removeWorkerNetwork` needs to know. */
export type RemoveNetworkOptions = Pick<
  WorkerNetworkOptions,
  "platformId" | "stateDirectory" | "helper" | "forwardingDirectory"
>;

/** Where the journal lives. */
export function journalDirectory(options: Pick<WorkerNetworkOptions, "stateDirectory">): string {
  return join(options.stateDirectory, "network");
}
