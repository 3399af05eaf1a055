// The one place that opens connections into sandboxes (law 20): who may, to which port, how many, and when last.
import type { Socket } from "node:net";
import { connect } from "node:net";
import { isAppError } from "@sallyport/appkit/errors";
import { INIT_PORT } from "@sallyport/contracts";
import type { ConnectStatus } from "@sallyport/dataplane";
import type { Instance } from "./instance.ts";
import { DIAL_MS, MAX_CONNECTIONS_PER_INSTANCE } from "./limits.ts";

/** Opens a TCP connection; rejects with the system's error, or the signal's reason. */
export type Dial = (address: string, port: number, timeoutMs: number, signal: AbortSignal) => Promise<Socket>;

/** What was asked for cannot be opened; the status says why. */
export class OpenRefused extends Error {
  readonly code = "OpenRefused";
  readonly status: Exclude<ConnectStatus, 200>;

  constructor(status: Exclude<ConnectStatus, 200>, message: string) {
    super(message);
    this.name = "OpenRefused";
    this.status = status;
  }
}

export interface OpenTarget {
  readonly sandboxId: string;
  readonly instanceId: string;
  readonly port: number;
  /** The port that the caller's grant names; unset when it has none. */
  readonly grantPort: number | undefined;
}

/** Dials for real. Paused, half-open allowed, without Nagle's delay. */
export const dialTcp: Dial = (host, port, timeoutMs, signal) => {
  const dialled = Promise.withResolvers<Socket>();
  const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
  const fail = (error: Error) => {
    socket.destroy();
    dialled.reject(error);
  };
  const onAbort = () => fail(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
  const timer = setTimeout(() => fail(Object.assign(new Error("no answer in time"), { code: "ETIMEDOUT" })), timeoutMs);
  socket.once("error", fail);
  socket.once("connect", () => dialled.resolve(socket));
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  return dialled.promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    socket.off("error", fail);
    socket.on("error", ignoreBecauseCloseFollows);
  });
};

/** Dials the init of an instance. */
export function dialInit(instance: Instance, dial: Dial, timeoutMs: number, signal: AbortSignal): Promise<Socket> {
  const [address = ""] = instance.addresses;
  return dial(address, INIT_PORT, timeoutMs, signal);
}

export interface OpenerOptions {
  readonly find: (instanceId: string) => Instance | undefined;
  readonly dial: Dial;
}

/** Opens connections to ports that a grant names. */
export class Opener {
  readonly #options: OpenerOptions;

  constructor(options: OpenerOptions) {
    this.#options = options;
  }

  /** A connected socket, counted until it closes. Rejects with {@link OpenRefused}, or the signal's reason. */
  async open(target: OpenTarget, signal: AbortSignal): Promise<Socket> {
    const { grantPort, instanceId, port, sandboxId } = target;
    // Init's port before all else: no answer to it may depend on anything.
    if (port === INIT_PORT || grantPort !== port) throw new OpenRefused(403, "the port is not granted");
    const instance = this.#options.find(instanceId);
    if (instance === undefined || instance.sandboxId !== sandboxId) {
      throw new OpenRefused(404, "there is no such sandbox instance here");
    }
    if (instance.detached || instance.failed) throw new OpenRefused(410, "the sandbox has ended");
    if (!instance.isOpen) throw new OpenRefused(503, "the sandbox is not ready");
    const place = instance.takeConnection(MAX_CONNECTIONS_PER_INSTANCE);
    if (place === undefined) throw new OpenRefused(503, `the sandbox has ${MAX_CONNECTIONS_PER_INSTANCE} connections`);
    try {
      const either = AbortSignal.any([signal, place.signal]);
      await awake(instance, either);
      const socket = await this.#dialAny(instance, port, either);
      place.hold(socket);
      return socket;
    } catch (error) {
      place.leave();
      if (instance.detached) throw new OpenRefused(410, "the sandbox has ended");
      throw error;
    }
  }

  /** Over IPv4, else IPv6: a program may listen on one of them only. */
  async #dialAny(instance: Instance, port: number, signal: AbortSignal): Promise<Socket> {
    let refused = false;
    for (const address of instance.addresses) {
      try {
        return await this.#options.dial(address, port, DIAL_MS, signal);
      } catch (error) {
        signal.throwIfAborted();
        refused ||= error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
      }
    }
    if (refused) throw new OpenRefused(502, "nothing listens on the port");
    throw new OpenRefused(503, "the sandbox does not answer");
  }
}

/** Waits for a sleeping sandbox to be woken. */
async function awake(instance: Instance, signal: AbortSignal): Promise<void> {
  try {
    await instance.awake(signal);
  } catch (error) {
    signal.throwIfAborted();
    throw isAppError(error) ? new OpenRefused(503, error.message) : error;
  }
  if (instance.detached) throw new OpenRefused(410, "the sandbox has ended");
}

function ignoreBecauseCloseFollows(): void {
  // "close" comes right after "error"; whoever holds the socket listens for it.
}
