// The room's door: starts the network of a worker, adopts what an earlier worker left running, and takes it all away.

import { systemClock } from "@sallyport/appkit/clock";
import type { NetworkRules } from "@sallyport/policy";
import { type PlatformNames, platformNames, SLOT_INTERFACE, type SlotAddresses, slotAddresses } from "./addresses.ts";
import { NftSession } from "./apply.ts";
import { checkShaping } from "./bandwidth.ts";
import { Connections } from "./connections.ts";
import { journalDirectory, type SlotNetwork, type WorkerNetwork, type WorkerNetworkOptions } from "./contract.ts";
import { Denials } from "./denials.ts";
import { messageOf, NetworkError } from "./errors.ts";
import { FORWARDING_DIRECTORY, Forwarding } from "./forwarding.ts";
import { HostSide } from "./host.ts";
import { Journal, type JournaledSlot } from "./journal.ts";
import { isNamespace, makeNamespace } from "./namespaces.ts";
import { readOwnAddresses } from "./never.ts";
import { OwnAddresses } from "./own-addresses.ts";
import { removeLeftovers, removeWorkerNetwork } from "./removal.ts";
import { configureRouter, connectUplink } from "./router.ts";
import { RouterRules } from "./rules.ts";
import { RulesWatch } from "./rules-watch.ts";
import { readdressSlot } from "./slot.ts";
import { DEFAULT_SLOT_LIMITS } from "./slot-limits.ts";
import { SlotNumbers } from "./slot-numbers.ts";
import { SlotStore } from "./slot-store.ts";
import { chooseUplink } from "./uplink.ts";
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
  const { gatewayUid, resolver, limits = DEFAULT_SLOT_LIMITS } = options;
  const rules = new RouterRules({ session, gatewayUid, resolver, limits });
  const entries = kept.map((entry) => ({ ...entry, addresses: slotAddresses(platformId, entry.slot) }));
  // Rules before settings and cables: no moment in which the router forwards without them.
  const own = await OwnAddresses.open({
    journal,
    read: () => readOwnAddresses(),
    platform: [names.ula],
    logger,
    onChange: options.onMachineAddresses,
  });
  await rules.load(entries, own.all());
  await configureRouter(names);
  if (limits.bandwidthMbit > 0) await checkShaping(names.routerNetnsPath, limits.bandwidthMbit);

  const forwarding = new Forwarding(options.forwardingDirectory ?? FORWARDING_DIRECTORY, names.tag);
  const host = new HostSide({ names, session: hostSession, forwarding });
  const uplink = await chooseUplink(options, journal);
  await host.prepare(uplink);
  await connectUplink(names, uplink);
  const refreshAddresses = (): Promise<void> => own.refresh(rules);
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
      connections: new Connections({
        router: stack.use(new NftSession({ helper: options.helper, netnsPath: names.routerNetnsPath })),
        host: stack.use(new NftSession({ helper: options.helper })),
        uplink,
      }),
      bandwidthMbit: limits.bandwidthMbit,
      onReleased: (slot) => denials?.forget(slot),
    }),
  );
  for (const entry of kept) store.adopt(entry);
  const { denialReader: program, onDenials } = options;
  const denials =
    program === undefined || onDenials === undefined
      ? undefined
      : stack.use(
          new Denials({
            program,
            routerNetnsPath: names.routerNetnsPath,
            contextOf: (slot) => {
              const mode = store.modeOf(slot);
              return mode === undefined ? undefined : { mode, limits, ownAddresses: own.all() };
            },
            total: (slot) => rules.denials(slot),
            onDenials,
            clock,
            logger,
          }),
        );
  const { onRulesLost, onRulesRestored, watchIntervalMs: intervalMs } = options;
  stack.use(new RulesWatch({ rules, clock, logger, intervalMs, onRulesLost, onRulesRestored }));
  stack.use(new Watch({ host, refreshAddresses, logger, intervalMs }));
  store.refill();
  logger.info(
    { router: names.routerNetns, uplink: uplink.subnet4, adopted: kept.length, fresh },
    "worker network is up",
  );
  return { network: new RunningNetwork({ options, names, store, rules, own, stack }), rules };
}

interface RunningParts {
  readonly options: WorkerNetworkOptions;
  readonly names: PlatformNames;
  readonly store: SlotStore;
  readonly rules: RouterRules;
  readonly own: OwnAddresses;
  readonly stack: AsyncDisposableStack;
}

class RunningNetwork implements WorkerNetwork {
  readonly #parts: RunningParts;
  readonly #store: SlotStore;

  constructor(parts: RunningParts) {
    this.#parts = parts;
    this.#store = parts.store;
  }

  get routerNetnsPath(): string {
    return this.#parts.names.routerNetnsPath;
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

  machineAddresses(): readonly string[] {
    return this.#parts.own.machine();
  }

  async setFleet(cidrs: readonly string[]): Promise<void> {
    await this.#parts.own.setFleet(cidrs, this.#parts.rules);
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
    await removeWorkerNetwork(this.#parts.options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.stack.disposeAsync();
  }
}

/** Slots that were handed out and are still there. */
async function keptSlots(journal: Journal, platformId: string): Promise<JournaledSlot[]> {
  const bound = (await journal.slots()).filter((entry) => entry.bound);
  const there = await Promise.all(bound.map((entry) => isNamespace(slotAddresses(platformId, entry.slot).netnsPath)));
  return bound.filter((_, index) => there[index]);
}

function slotNetwork(addresses: SlotAddresses): SlotNetwork {
  const { slot, netnsPath, ipv4, ipv6, routerIpv4, routerIpv6 } = addresses;
  return { slot, netnsPath, ipv4, ipv6, routerIpv4, routerIpv6, interfaceName: SLOT_INTERFACE };
}
