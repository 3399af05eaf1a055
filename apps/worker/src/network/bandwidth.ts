// How fast a slot may send and receive: both ends of its cable let bytes out at a rate, and hold a little back.

import { CommandError, run } from "../system/command.ts";
import { type PlatformNames, SLOT_INTERFACE, type SlotAddresses } from "./addresses.ts";
import { NetworkError } from "./errors.ts";

const BYTES_PER_MBIT = 125_000;
/** Of how many seconds the bytes may go at once; the kernel's clock ticks no finer on many machines. */
const AT_ONCE_S = 0.01;
/** Two of the largest pieces that a stack hands down. */
const MIN_AT_ONCE_BYTES = 128 * 1024;
/** How long what is too much waits before it is dropped. */
const LATENCY = "50ms";

/** Shapes both ends of a slot's cable. Throws CommandError where the kernel cannot. */
export async function shapeSlot(
  names: PlatformNames,
  slot: SlotAddresses,
  mbit: number,
  signal?: AbortSignal,
): Promise<void> {
  await Promise.all([
    shape(names.routerNetnsPath, slot.routerLink, mbit, signal),
    shape(slot.netnsPath, SLOT_INTERFACE, mbit, signal),
  ]);
}

/** Finds out on an interface that nothing depends on. Throws NetworkError `SetupFailed` with the cure. */
export async function checkShaping(netnsPath: string, mbit: number): Promise<void> {
  try {
    await shape(netnsPath, "lo", mbit);
    await run(["nsenter", `--net=${netnsPath}`, "tc", "qdisc", "del", "dev", "lo", "root"]);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const problem = error.stderr.trim().split("\n")[0] ?? "";
    const cure = "install tc (iproute2) and a kernel with sch_tbf, or set SALLYPORT_SLOT_BANDWIDTH_MBIT=0";
    throw new NetworkError("SetupFailed", `the bandwidth of slots cannot be bounded: ${problem}: ${cure}`, error);
  }
}

async function shape(netnsPath: string, link: string, mbit: number, signal?: AbortSignal): Promise<void> {
  const burst = Math.max(MIN_AT_ONCE_BYTES, Math.ceil(mbit * BYTES_PER_MBIT * AT_ONCE_S));
  const rate = ["tbf", "rate", `${mbit}mbit`, "burst", `${burst}b`, "latency", LATENCY];
  await run(["nsenter", `--net=${netnsPath}`, "tc", "qdisc", "replace", "dev", link, "root", ...rate], { signal });
}
