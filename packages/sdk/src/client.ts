/// <reference lib="esnext.disposable" preserve="true" />
// The connection to a platform, as users hold it, and the one that everybody shares by default.
import type { ClientOptions } from "./config.ts";
import { resolveConfig } from "./config.ts";
import type { LocalAuthority } from "./local-authority.ts";
import { getLocalAuthority } from "./local-authority.ts";
import type { CallOptions } from "./scope.ts";
import { Connections, scopeOf } from "./transport.ts";
import type { WorkspaceUsage } from "./usage.ts";
import { getUsage } from "./usage.ts";

const TIMEOUT_MS = 60_000;

let internals: (client: Client) => Connections;

/**
 * A connection to a platform. One is made lazily from the environment or the profile file for a program that passes
 * none. It holds no program open: closing it is needed only to let go of its sockets early.
 */
export class Client implements AsyncDisposable {
  static {
    internals = (client) => client.#connections;
  }

  readonly #connections: Connections;

  /**
   * Connects at the first call. Explicit options go before `SALLYPORT_API_URL` and `SALLYPORT_TOKEN`, and these before
   * the profile file (`~/.config/sallyport/config.json`: `{"url": …, "token": …}`).
   *
   * @throws SallyportError `InvalidArgument` with field `url`, `token` or `caFile`, and a hint what to set or run.
   */
  constructor(options: ClientOptions = {}) {
    this.#connections = new Connections(resolveConfig(options));
  }

  /**
   * What the workspace of this client's token may use, and uses.
   *
   * @throws SallyportError `Unauthenticated`; `Unavailable`; `DeadlineExceeded` after `timeoutMs` (60,000).
   */
  async usage(options: Omit<CallOptions, "client"> = {}): Promise<WorkspaceUsage> {
    return getUsage(this.#connections, scopeOf("Client.usage", options, this.#connections, TIMEOUT_MS));
  }

  /**
   * The authority whose certificates the connect domain has on one machine, for clients other than this SDK:
   * {@link ConnectToken.fetch} and {@link ConnectToken.webSocket} trust it by themselves.
   *
   * @throws SallyportError `FailedPrecondition` where public authorities vouch for the domain; `Unauthenticated`; `Unavailable`.
   */
  async localAuthority(options: Omit<CallOptions, "client"> = {}): Promise<LocalAuthority> {
    const scope = scopeOf("Client.localAuthority", options, this.#connections, TIMEOUT_MS);
    return getLocalAuthority(this.#connections, scope);
  }

  /** Closes the connections; calls that run reject with `Cancelled`, and what connect tokens opened is cut. Sandboxes go on. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#connections.close();
  }
}

let shared: Client | undefined;

/** The connections behind a client, or behind the shared one. */
export function connectionsOf(client: Client | undefined): Connections {
  if (client !== undefined) return internals(client);
  shared ??= new Client();
  return internals(shared);
}
