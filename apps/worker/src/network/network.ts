// The room's door: starts the network of a worker, adopts what an earlier worker left running, and takes it all away.

import { join } from "node:path";
import { type Clock, systemClock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import { mergeCidrs, type NetworkRules } from "@sallyport/policy";
import {
  firstUplinkIndex,
  type PlatformNames,
  platformNames,
  SLOT_INTERFACE,
  type SlotAddresses,
  slotAddresses,
  UPLINK_COUNT,
  type UplinkAddresses,
  uplinkAddresses,
} from "./addresses.ts";
import { NftSession } from "./apply.ts";
import { messageOf, NetworkError } from "./errors.ts";
import { FORWARDING_DIRECTORY, Forwarding } from "./forwarding.ts";
import { HostSide } from "./host.ts";
import { Journal, type JournaledSlot } from "./journal.ts";
import { isNamespace, makeNamespace, namespacesNamed, removeLink, removeNamespace } from "./namespaces.ts";
import { isFree, readOwnAddresses, readRoutes } from "./never.ts";
import { configureRouter, connectUplink } from "./router.ts";
import { RouterRules } from "./rules.ts";
import { readdressSlot, unmakeSlot } from "./slot.ts";
import { SlotNumbers } from "./slot-numbers.ts";
import { SlotStore } from "./slot-store.ts";
import { Watch } from "./watch.ts";

export interface WorkerNetworkOptions {
  /** Lower-case ULID of the platform. */
  readonly platformId: string;
  /** A directory that only root can enter; the journal lives in `network/` below it. */
  readonly stateDirectory: string;
  /** The user who alone may open connections into sandboxes. */
  readonly gatewayUid: number;
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
  /** The conntrack program, which may be missing. Default `conntrack`. */
  readonly conntrack?: string;
  /** The router's rules were found gone; freeze the sandboxes. Called before they are loaded again. */
  readonly onRulesLost?: () => Promise<void>;
  /** They are back; thaw. */
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
  /** Addresses and routes put back; call before every (re)start of a runtime in the slot. */
  readdress(slot: Pick<SlotNetwork, "slot">): Promise<void>;
  /** Idempotent. End the sandbox first: a process inside keeps its namespace, though without a cable. */
  releaseSlot(slot: number): Promise<void>;
  /** Everything goes: slots, router, uplink, host table, settings, journal. */
  teardown(): Promise<void>;
  /** Stops watching and talking; slots, rules and the router stay, and running sandboxes with them. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Sets up the router and the uplink, or adopts them with their running slots: rules are loaded in one transaction.
 *
 * @throws NetworkError `SetupFailed` where anything of it, above all the rules, cannot be had. What ran goes on.
 */
export async function startWorkerNetwork(options: WorkerNetworkOptions): Promise<WorkerNetwork> {
  const names = platformNames(options.platformId);
  const stack = new AsyncDisposableStack();
  try {
    const network = await start(options, names, stack);
    return network;
  } catch (error) {
    await stack.disposeAsync();
    throw new NetworkError("SetupFailed", `the network could not be set up: ${messageOf(error)}`, error);
  }
}

async function start(
  options: WorkerNetworkOptions,
  names: PlatformNames,
  stack: AsyncDisposableStack,
): Promise<WorkerNetwork> {
  const { logger, platformId } = options;
  const clock = options.clock ?? systemClock;
  const journal = await Journal.open(journalDirectory(options));
  const fresh = await makeNamespace(names.routerNetns);
  const kept = fresh ? [] : await keptSlots(journal, platformId);

  const session = stack.use(new NftSession({ helper: options.helper, netnsPath: names.routerNetnsPath }));
  const hostSession = stack.use(new NftSession({ helper: options.helper }));
  const rules = new RouterRules({ session, gatewayUid: options.gatewayUid });
  const entries = kept.map((entry) => ({ ...entry, addresses: slotAddresses(platformId, entry.slot) }));
  // Rules before settings and cables: no moment in which the router forwards without them.
  await rules.load(entries, await ownAddresses(names));
  await configureRouter(names);

  const forwarding = new Forwarding(options.forwardingDirectory ?? FORWARDING_DIRECTORY, names.tag);
  const host = new HostSide({ names, session: hostSession, forwarding });
  const uplink = await chooseUplink(options, journal);
  await host.prepare(uplink);
  await connectUplink(names, uplink);
  const refreshAddresses = async (): Promise<void> => rules.setOwnAddresses(await ownAddresses(names));
  await refreshAddresses();
  await removeLeftovers(names, platformId, journal, kept);

  const numbers = new SlotNumbers({ lives: await journal.lives(), monotonicMs: () => clock.monotonicMs() });
  const store = stack.use(
    new SlotStore({
      platformId,
      names,
      journal,
      rules,
      numbers,
      clock,
      logger,
      poolSize: options.poolSize ?? 2,
      conntrack: options.conntrack,
    }),
  );
  for (const entry of kept) store.adopt(entry);
  stack.use(
    new Watch({
      rules,
      host,
      refreshAddresses,
      logger,
      intervalMs: options.watchIntervalMs,
      onRulesLost: options.onRulesLost,
      onRulesRestored: options.onRulesRestored,
    }),
  );
  store.refill();
  logger.info(
    { router: names.routerNetns, uplink: uplink.subnet4, adopted: kept.length, fresh },
    "worker network is up",
  );
  return new RunningNetwork(options, names, store, stack);
}

class RunningNetwork implements WorkerNetwork {
  readonly routerNetnsPath: string;
  readonly #options: WorkerNetworkOptions;
  readonly #store: SlotStore;
  readonly #stack: AsyncDisposableStack;

  constructor(options: WorkerNetworkOptions, names: PlatformNames, store: SlotStore, stack: AsyncDisposableStack) {
    this.routerNetnsPath = names.routerNetnsPath;
    this.#options = options;
    this.#store = store;
    this.#stack = stack;
  }

  async acquireSlot(signal?: AbortSignal): Promise<SlotNetwork> {
    return slotNetwork(await this.#store.acquire(signal));
  }

  async adoptSlot(slot: number): Promise<SlotNetwork | undefined> {
    const addresses = this.#store.addressesOf(slot);
    return addresses !== undefined && (await isNamespace(addresses.netnsPath)) ? slotNetwork(addresses) : undefined;
  }

  boundSlots(): readonly number[] {
    return this.#store.bound();
  }

  async applyPolicy(slot: Pick<SlotNetwork, "slot">, rules: NetworkRules): Promise<void> {
    await this.#store.setRules(slot.slot, rules);
  }

  async readdress(slot: Pick<SlotNetwork, "slot">): Promise<void> {
    const addresses = this.#store.addressesOf(slot.slot);
    if (addresses === undefined) throw new NetworkError("NoSuchSlot", `slot ${slot.slot} is not handed out`);
    await readdressSlot(addresses);
  }

  async releaseSlot(slot: number): Promise<void> {
    await this.#store.release(slot);
  }

  async teardown(): Promise<void> {
    await this[Symbol.asyncDispose]();
    await removeWorkerNetwork(this.#options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** What `removeWorkerNetwork` needs to know. */
export type RemoveNetworkOptions = Pick<
  WorkerNetworkOptions,
  "platformId" | "stateDirectory" | "helper" | "forwardingDirectory"
>;

/** Takes a platform's network away without starting it first, after a crash too. Idempotent; tries every step. */
export async function removeWorkerNetwork(options: RemoveNetworkOptions): Promise<void> {
  const names = platformNames(options.platformId);
  await using session = new NftSession({ helper: options.helper });
  const forwarding = new Forwarding(options.forwardingDirectory ?? FORWARDING_DIRECTORY, names.tag);
  const host = new HostSide({ names, session, forwarding });
  const failures: unknown[] = [];
  const attempt = async (step: () => Promise<void>): Promise<void> => {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  };
  for (const slot of await existingSlots(names)) {
    await attempt(() => unmakeSlot(names, slotAddresses(options.platformId, slot)));
  }
  await attempt(() => removeLink(undefined, names.hostLink));
  await attempt(() => removeNamespace(names.routerNetns));
  await attempt(() => host.remove());
  if (failures.length > 0) {
    throw new NetworkError(
      "SetupFailed",
      `not all could be removed: ${failures.map(messageOf).join("; ")}`,
      failures[0],
    );
  }
  const journal = await Journal.open(journalDirectory(options));
  await journal.remove();
}

function journalDirectory(options: Pick<WorkerNetworkOptions, "stateDirectory">): string {
  return join(options.stateDirectory, "network");
}

/** Slots that were handed out and are still there. */
async function keptSlots(journal: Journal, platformId: string): Promise<JournaledSlot[]> {
  const bound = (await journal.slots()).filter((entry) => entry.bound);
  const there = await Promise.all(bound.map((entry) => isNamespace(slotAddresses(platformId, entry.slot).netnsPath)));
  return bound.filter((_, index) => there[index]);
}

/** Prepared slots of an earlier run, half-made and half-removed ones. */
async function removeLeftovers(
  names: PlatformNames,
  platformId: string,
  journal: Journal,
  kept: readonly JournaledSlot[],
): Promise<void> {
  const keep = new Set(kept.map((entry) => entry.slot));
  const journaled = (await journal.slots()).map((entry) => entry.slot);
  for (const slot of new Set([...journaled, ...(await existingSlots(names))])) {
    if (keep.has(slot)) continue;
    await unmakeSlot(names, slotAddresses(platformId, slot));
    await journal.removeSlot(slot);
  }
}

async function existingSlots(names: PlatformNames): Promise<number[]> {
  const prefix = `${names.routerNetns}-`;
  const numbers = (await namespacesNamed(prefix)).map((name) => name.slice(prefix.length));
  return numbers.filter((text) => /^\d{1,5}$/.test(text)).map(Number);
}

async function ownAddresses(names: PlatformNames): Promise<string[]> {
  const merged = mergeCidrs([...(await readOwnAddresses()), names.ula]);
  return [...merged.v4, ...merged.v6];
}

async function chooseUplink(options: WorkerNetworkOptions, journal: Journal): Promise<UplinkAddresses> {
  const known = options.uplinkIndex ?? (await journal.uplinkIndex());
  if (known !== undefined) {
    await journal.setUplinkIndex(known);
    return uplinkAddresses(options.platformId, known);
  }
  const routes = await readRoutes();
  const first = firstUplinkIndex(options.platformId);
  for (let tried = 0; tried < UPLINK_COUNT; tried++) {
    const uplink = uplinkAddresses(options.platformId, (first + tried) % UPLINK_COUNT);
    if (!isFree(uplink.subnet4, routes)) continue;
    await journal.setUplinkIndex(uplink.index);
    return uplink;
  }
  throw new NetworkError("SetupFailed", "no /30 of 169.254.64.0/18 is free for the uplink");
}

function slotNetwork(addresses: SlotAddresses): SlotNetwork {
  const { slot, netnsPath, ipv4, ipv6, routerIpv4, routerIpv6 } = addresses;
  return { slot, netnsPath, ipv4, ipv6, routerIpv4, routerIpv6, interfaceName: SLOT_INTERFACE };
}
