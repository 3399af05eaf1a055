// The door: takes connections, learns for whom they come and which server they want, and does with each what the edge
// answers. A client that names no host of this edge gets an alert, never a certificate.
import type { Server, Socket } from "node:net";
import type { Logger } from "@sallyport/appkit/logger";
import { Announcements } from "./announcements.ts";
import type { ClientEnds, DoorRefusal } from "./door-answer.ts";
import { PROXY_HEADER_MS } from "./edge-limits.ts";
import type { EntrantPlace } from "./entrant.ts";
import { Entrant } from "./entrant.ts";
import { endsOf } from "./proxy-header.ts";
import { RareWarning } from "./rare-warning.ts";
import { UnsentTls } from "./unsent-tls.ts";

export interface TlsDoorOptions<Way> extends Omit<EntrantPlace<Way>, "noCertificate" | "unsent"> {
  /** Whether a peer of this address begins its connections with a PROXY header. Nobody is when unset. */
  readonly sendsProxyHeader?: ((address: string) => boolean) | undefined;
  readonly logger: Logger;
}

/** From where the address of a listener's clients is known. */
export type AddressFrom =
  /** Its sockets; of peers that send a PROXY header, the header. */
  | "socket"
  /** A PROXY header, which every connection has to begin with: those who may connect at all are believed. */
  | "proxy-header";

/** Disposal closes it and cuts the handshakes under way; what has come through it leaves alone. */
export class TlsDoor<Way> implements Disposable {
  readonly #options: TlsDoorOptions<Way>;
  readonly #place: EntrantPlace<Way>;
  readonly #announcements: Announcements;
  /** Each connection that cannot be taken tells of it, where there are no descriptors left for instance. */
  readonly #failed: RareWarning;
  readonly #listeners = new Map<Server, (socket: Socket) => void>();
  /** Those who have not come through yet. */
  readonly #waiting = new Set<Disposable>();

  constructor(options: TlsDoorOptions<Way>) {
    this.#options = options;
    const { admission, limits, logger } = options;
    this.#failed = new RareWarning(logger, "a listening socket failed");
    const noCertificate = new RareWarning(logger, "no certificate for a host");
    this.#place = { ...options, noCertificate, unsent: new UnsentTls() };
    const timeoutMs = Math.min(PROXY_HEADER_MS, limits.handshakeMs);
    this.#announcements = new Announcements({ admission, timeoutMs, logger });
  }

  /** Takes connections from a listener that somebody else made. */
  listen(listener: Server, addressFrom: AddressFrom = "socket"): void {
    const accept = (socket: Socket) => this.#accept(socket, addressFrom);
    this.#listeners.set(listener, accept);
    listener.on("connection", accept);
    listener.on("error", (error) => this.#failed.tell({ err: error }));
  }

  /** Listens no more. Those who are at the door already may come through. */
  close(): void {
    for (const listener of this.#listeners.keys()) listener.close();
  }

  [Symbol.dispose](): void {
    this.close();
    for (const [listener, accept] of this.#listeners) {
      listener.off("connection", accept);
      listener.on("connection", (late: Socket) => late.destroy());
    }
    this.#announcements[Symbol.dispose]();
    for (const one of this.#waiting) one[Symbol.dispose]();
  }

  #accept(socket: Socket, addressFrom: AddressFrom): void {
    socket.setNoDelay(true);
    socket.allowHalfOpen = true; // who has sent all it had to say still gets an answer
    socket.on("error", () => socket.destroy());
    const ends = endsOf(socket);
    const isAnnounced =
      addressFrom === "proxy-header" ||
      (ends !== undefined && this.#options.sendsProxyHeader?.(ends.source.address) === true);
    if (isAnnounced) {
      this.#announcements.take(socket, {
        onHeader: (client, rest) => this.#enter(socket, client, rest),
        onRefused: (reason) => this.#turnAway(socket, ends, reason),
      });
    } else if (ends === undefined) this.#turnAway(socket, undefined, "broken");
    else this.#enter(socket, ends);
  }

  #enter(socket: Socket, client: ClientEnds, first?: Buffer): void {
    const { admission } = this.#options;
    const { address } = client.source;
    let entrant: Entrant<Way> | undefined;
    const shed = () => {
      if (entrant?.refuse("shed") !== true) this.#turnAway(socket, client, "shed");
    };
    const place = admission.connection(address, shed);
    if (typeof place === "string") {
      this.#turnAway(socket, client, place);
      return;
    }
    socket.once("close", () => place[Symbol.dispose]());
    const handshake = admission.handshake(address, shed);
    if (typeof handshake === "string") {
      this.#turnAway(socket, client, handshake);
      return;
    }
    const one: Entrant<Way> = new Entrant(this.#place, socket, client, () => {
      handshake[Symbol.dispose]();
      this.#waiting.delete(one);
    });
    entrant = one;
    this.#waiting.add(one);
    if (first !== undefined && first.length > 0) one.read(first);
  }

  #turnAway(transport: Socket, client: ClientEnds | undefined, reason: DoorRefusal): void {
    this.#options.onRefused({ reason, transport, client, way: undefined });
    transport.destroy();
  }
}
