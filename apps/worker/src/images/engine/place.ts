// The engine's place in the network: a slot of the router with an open policy, forwarding for containers of builds, and
// rules of its own inside. Pulls and builds obey what every sandbox obeys: no host, no platform, no metadata, nothing private.
import type { NetworkRules } from "@sallyport/policy";
import type { SlotNetwork, WorkerNetwork } from "../../network/index.ts";
import { configureNamespace } from "../../network/namespaces.ts";
import { run } from "../../system/command.ts";
import { ENGINE_RULES } from "./launch.ts";

const OPEN: NetworkRules = { mode: "open", allow4: [], allow6: [], granted4: [], granted6: [], portRules: [] };

export type PlaceNetwork = Pick<WorkerNetwork, "acquireSlot" | "applyPolicy" | "releaseSlot">;

export interface EnginePlace extends AsyncDisposable {
  readonly netnsPath: string;
  /** Whom an open slot may ask for names. */
  readonly resolver: string;
}

/** Disposal gives the slot back; end what runs in it first. */
export async function openEnginePlace(network: PlaceNetwork, signal: AbortSignal): Promise<EnginePlace> {
  await using stack = new AsyncDisposableStack();
  const slot: SlotNetwork = await network.acquireSlot(signal);
  stack.defer(() => network.releaseSlot(slot.slot));
  // Its own rules before it may speak: nothing of a build is ever forwarded without them.
  await run(["nsenter", `--net=${slot.netnsPath}`, "nft", "-f", "-"], { input: ENGINE_RULES, signal });
  await configureNamespace(slot.netnsPath, { "ipv4/ip_forward": "1" }, ["link set lo up"], signal);
  await network.applyPolicy(slot, OPEN);
  const owned = stack.move();
  return { netnsPath: slot.netnsPath, resolver: slot.routerIpv4, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
