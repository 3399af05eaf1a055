// The door: takes connections, learns for whom they come and which server they want, and does with each what the edge
// answers. A client that names no host of this edge gets an alert, never a certificate.
import type { Server, Socket } from "node:net";
import type { Logger } from "@sallyport/appkit/logger";
import type { ClientEnds, DoorRefusal } from "./door-answer.ts";
import { PROXY_HEADER_MS } from "./edge-limits.ts";
import type { EntrantPlace } from "./entrant.ts";
import { Entrant } from "./entrant.ts";
import { endsOf, readProxyHeader } from "./proxy-header.ts";
import { RareWarning } from "./rare-warning.ts";

export interface TlsDoorOptions<Way> extends Omit<EntrantPlace<Way>, "noCertificate"> {
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
  readonly #noHeader: RareWarning;
  readonly #listeners = new Map<Server, (socket: Socket) => void>();
  /** Those who have not come through yet. */
  readonly #waiting = new Set<Disposable>();

  constructor(options: TlsDoorOptions<Way>) {
    this.#options = options;
    this.#place = { ...options, noCertificate: new RareWarning(options.logger, "no certificate for a host") };
    this.#noHeader = new RareWarning(options.logger, "a peer that has to send a PROXY header, version 2, sent none");
  }

  /** Takes connections from a listener that somebody else made. */
  listen(listener: Server, addressFrom: AddressFrom = "socket"): void {
    const accept = (socket: Socket) => this.#accept(socket, addressFrom);
    this.#listeners.set(listener, accept);
    listener.on("connection", accept);
    listener.on("error", (error) => this.#options.logger.error({ err: error }, "a listening socket failed"));
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
    if (isAnnounced) this.#awaitHeader(socket, ends);
    else if (ends === undefined) this.#turnAway(socket, "broken");
    else this.#enter(socket, ends);
  }

  /** A peer that speaks for others says for whom it comes. */
  #awaitHeader(socket: Socket, ends: ClientEnds | undefined): void {
    const { admission, limits, onRefused } = this.#options;
    const place = admission.announcement(() => this.#turnAway(socket, "shed"));
    if (typeof place === "string") {
      this.#turnAway(socket, place);
      return;
    }
    const leave = () => {
      place[Symbol.dispose]();
      this.#waiting.delete(header);
    };
    const header = readProxyHeader(socket, {
      timeoutMs: Math.min(PROXY_HEADER_MS, limits.handshakeMs),
      onHeader: (client, rest) => {
        leave();
        this.#enter(socket, client, rest);
      },
      onRefused: (reason) => {
        leave();
        if (reason !== "broken") this.#noHeader.tell({ peer: ends?.source.address, reason });
        onRefused(reason === "timeout" || reason === "broken" ? reason : "proxy-header");
      },
    });
    this.#waiting.add(header);
  }

  #enter(socket: Socket, client: ClientEnds, first?: Buffer): void {
    const { admission } = this.#options;
    const { address } = client.source;
    const place = admission.connection(address, () => this.#turnAway(socket, "shed"));
    if (typeof place === "string") {
      this.#turnAway(socket, place);
      return;
    }
    socket.once("close", () => place[Symbol.dispose]());
    const handshake = admission.handshake(address, () => entrant.refuse("shed"));
    if (typeof handshake === "string") {
      this.#turnAway(socket, handshake);
      return;
    }
    const entrant: Entrant<Way> = new Entrant(this.#place, socket, client, () => {
      handshake[Symbol.dispose]();
      this.#waiting.delete(entrant);
    });
    this.#waiting.add(entrant);
    if (first !== undefined && first.length > 0) entrant.read(first);
  }

  #turnAway(socket: Socket, reason: DoorRefusal): void {
    this.#options.onRefused(reason);
    socket.destroy();
  }
}
