// HTTP and WebSocket to sandboxes, as this runtime can do it: their names resolve (RFC 6761 keeps *.localhost on this
// machine) and their authority is trusted, while the rest of the process trusts and resolves as before.

/** What {@link openDoor} opens, and how its certificates are judged. */
export interface DoorOptions {
  /** Certificates (PEM) to trust. Undefined: those that the runtime trusts. */
  readonly ca: readonly string[] | undefined;
  /** Whether servers are spoken to in HTTP/2, which is all that some take. */
  readonly http2: boolean;
  /** Cuts what is under way, with its reason. */
  readonly closed: AbortSignal;
}

/** Sends requests, and opens WebSockets, with the headers that it is given, to sandboxes alone: it follows no redirect. */
export interface ConnectDoor {
  fetch(url: URL, init: RequestInit): Promise<Response>;
  webSocket(url: URL, protocols: readonly string[], headers: Readonly<Record<string, string>>): WebSocket;
  /** Once all is cut: lets go of idle connections. */
  close(): Promise<void>;
}

/** Loads what the runtime needs: nothing of it is loaded by programs that make no connect token and ask for no tunnel. */
export async function openDoor(options: DoorOptions): Promise<ConnectDoor> {
  if ("bun" in process.versions) return (await import("./connect-door-bun.ts")).openBunDoor(options);
  return (await import("./connect-door-node.ts")).openNodeDoor(options);
}

/** The signal of a request, which ends with its caller's and with the door. */
export function signalOf({ signal }: RequestInit, closed: AbortSignal): AbortSignal {
  return signal instanceof AbortSignal ? AbortSignal.any([signal, closed]) : closed;
}

/** Whether a name is this machine's own by RFC 6761: no resolver is asked, since most know only `localhost` itself. */
export function isLocalName(hostname: string): boolean {
  return hostname === "localhost" || hostname.endsWith(".localhost");
}
