// The resolver, wired by hand: leaf first, disposed of in reverse.
import type { Clock } from "@sallyport/appkit/clock";
import { systemClock } from "@sallyport/appkit/clock";
import type { Logger } from "@sallyport/appkit/logger";
import { Cache } from "./cache.ts";
import type { ResolverConfig } from "./config.ts";
import { OwnAddresses } from "./own-addresses.ts";
import { Rates } from "./rates.ts";
import { Resolver } from "./resolver.ts";
import type { LookUpSockets } from "./sockets.ts";
import { serveTcp } from "./tcp.ts";
import { Turns } from "./turns.ts";
import { serveUdp } from "./udp.ts";
import { fixedServers, watchedServers } from "./upstream/servers.ts";
import { Upstream } from "./upstream/upstream.ts";

export interface ResolverDeps {
  readonly logger: Logger;
  /** Not listening yet. The resolver closes them. */
  readonly sockets: LookUpSockets;
  readonly clock?: Clock;
  /** This machine's addresses as text; the operating system's word when unset. */
  readonly ownAddresses?: () => readonly string[];
}

/** A running resolver. Disposal closes its sockets; look-ups under way are not answered. */
export async function startResolver(
  config: Omit<ResolverConfig, "sockets">,
  deps: ResolverDeps,
): Promise<AsyncDisposable> {
  const { logger, sockets } = deps;
  const { limits } = config;
  const clock = deps.clock ?? systemClock;
  await using stack = new AsyncDisposableStack();
  const list =
    config.upstream === undefined ? watchedServers(config.resolvConf, logger) : fixedServers(config.upstream);
  stack.use(list);
  const stop = new AbortController();
  const { inFlight: perClient, inFlightTotal: total, waiting } = limits;
  const resolver = new Resolver({
    upstream: new Upstream({ list, clock, logger, timeoutMs: limits.timeoutMs }),
    cache: new Cache({ clock, maxBytes: limits.cacheBytes, maxBytesPerClient: limits.cacheBytesPerSlot }),
    rates: new Rates({ clock, perSecond: limits.queriesPerSecond, burst: limits.burst }),
    turns: new Turns({ perClient, total, waiting }),
    own: new OwnAddresses({ clock, fleetFile: config.fleetFile, read: deps.ownAddresses }),
    clock,
    logger,
    signal: stop.signal,
  });
  stack.defer(() => stop.abort(new Error("the resolver stops")));
  for (const listener of sockets.tcp) stack.use(serveTcp(listener, resolver, limits.tcp, logger));
  for (const socket of sockets.udp) stack.use(serveUdp(socket, resolver, logger));
  await sockets.listen();
  const running = stack.move();
  return { [Symbol.asyncDispose]: () => running.disposeAsync() };
}
