// The room's door: starts the network of a worker, adopts what an earlier worker left running, and takes it all away.

import { systemClock } from "@sallyport/appkit/clock";
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
import { journalDirectory, type SlotNetwork, type WorkerNetwork, type WorkerNetworkOptions } from "./contract.ts";
import { messageOf, NetworkError } from "./errors.ts";
import { FORWARDING_DIRECTORY, Forwarding } from "./forwarding.ts";
import { HostSide } from "./host.ts";
import { Journal, type JournaledSlot } from "./journal.ts";
import { isNamespace, makeNamespace } from "./namespaces.ts";
import { isFree, readOwnAddresses, readRoutes } from "./never.ts";
import { removeLeftovers, removeWorkerNetwork } from "./removal.ts";
import { configureRouter, connectUplink } from "./router.ts";
import { RouterRules } from "./rules.ts";
import { readdressSlot } from "./slot.ts";
import { SlotNumbers } from "./slot-numbers.ts";
import { SlotStore } from "./slot-store.ts";
import { Watch } from "./watch.ts";

/**
 * Sets up the router and the uplink, or adopts them with their running slots: rules are loaded in one transaction.
 *
 * @throws NetworkError `SetupFailed` where anything of it, above all the rules, cannot be had. What ran goes on.
 */
export async function startWorkerNetwork(options: WorkerNetworkOptions): Promise<WorkerNetwork> {
  return (await startNetworkParts(options)).network;
}

/** The same, with the rules themselves, for tests that put slots without cables into them. */
export async function startNetworkParts(options: WorkerNetworkOptions): Promise<NetworkParts> {
  const names = platformNames(options.platformId);
  const stack = new AsyncDisposableStack();
  try {
    return await start(options, names, stack);
  } catch (error) {
    await stack.disposeAsync();
    throw new NetworkError("SetupFailed", `the network could not be set up: ${messageOf(error)}`, error);
  }
}

interface NetworkParts {
  readonly network: WorkerNetwork;
  readonly rules: RouterRules;
}

async function start(
  options: WorkerNetworkOptions,
  names: PlatformNames,
  stack: AsyncDisposableStack,
): Promise<NetworkParts> {
  const { logger, platformId } = options;
  const clock = options.clock ?? systemClock;
  const journal = await Journal.open(journalDirectory(options));
  const fresh = await makeNamespace(names.routerNetns);
  const kept = fresh ? [] : await keptSlots(journal, platformId);

  const session = stack.use(new NftSession({ helper: options.helper, netnsPath: names.routerNetnsPath }));
  const hostSession = stack.use(new NftSession({ helper: options.helper }));
  const { gatewayUid, resolver, limits } = options;
  const rules = new RouterRules({ session, gatewayUid, resolver, limits });
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
  return { network: new RunningNetwork(options, names, store, stack), rules };
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

/** Slots that were handed out and are still there. */
async function keptSlots(journal: Journal, platformId: string): Promise<JournaledSlot[]> {
  const bound = (await journal.slots()).filter((entry) => entry.bound);
  const there = await Promise.all(bound.map((entry) => isNamespace(slotAddresses(platformId, entry.slot).netnsPath)));
  return bound.filter((_, index) => there[index]);
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
