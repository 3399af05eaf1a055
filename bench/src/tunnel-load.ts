// Load on a front of the benchmark "tunnel", by a program of its own (bench/native/tunnel-load.c).
import { run } from "./command.ts";
import type { Place } from "./front.ts";
import { startNative } from "./native.ts";
import type { TunnelWorld } from "./tunnel-world.ts";

/** To whom, and whether over TLS 1.3. */
export interface Target {
  readonly place: Pick<Place, "address" | "port">;
  readonly tls: boolean;
}

export interface BytesOptions {
  readonly way: "down" | "up";
  /** Connections at once. */
  readonly streams: number;
  /** Through each of them. */
  readonly bytes: number;
}

/** Rejects where a byte is missing, or another than was sent. */
export async function sendBytes(world: TunnelWorld, target: Target, options: BytesOptions): Promise<void> {
  const { bytes, streams, way } = options;
  await run(...command(world, target, "bytes", [way, String(streams), String(bytes)]));
}

/** Nanoseconds of each byte there and back over one connection, one after the other. */
export async function ping(world: TunnelWorld, target: Target, count: number): Promise<readonly number[]> {
  const output = await run(...command(world, target, "ping", [String(count)]));
  return output.trimEnd().split("\n").map(Number);
}

/** New connections, a byte there and back over each; no session of TLS is resumed. */
export async function connectAnew(world: TunnelWorld, target: Target, count: number): Promise<void> {
  await run(...command(world, target, "connect", [String(count)]));
}

/** The same, but they stay until the disposal. */
export function hold(world: TunnelWorld, target: Target, count: number): Promise<AsyncDisposable> {
  const [program, args] = command(world, target, "hold", [String(count)]);
  return startNative([program, ...args]);
}

function command(
  { certificate, host, load }: TunnelWorld,
  { place, tls }: Target,
  what: string,
  rest: readonly string[],
): [program: string, args: readonly string[]] {
  const secure = tls ? [host, certificate.caPath] : [];
  return [load, [what, place.address, String(place.port), ...rest, ...secure]];
}
