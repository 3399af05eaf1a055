// Peers at a door that speak for others: until it has said for whom it comes, a connection of theirs counts among the
// handshakes under way, in the place of a client's.
import type { Socket } from "node:net";
import type { Logger } from "@sallyport/appkit/logger";
import type { Admission } from "./admission.ts";
import type { ClientEnds, DoorRefusal } from "./door-answer.ts";
import { endsOf, readProxyHeader } from "./proxy-header.ts";
import { RareWarning } from "./rare-warning.ts";

export interface AnnouncementsOptions {
  readonly admission: Admission;
  /** For the whole header, in milliseconds. `PROXY_HEADER_MS` when unset. */
  readonly timeoutMs?: number | undefined;
  readonly logger: Logger;
}

export interface Announced {
  /** Whose connection it is, and what of its bytes was read with the header. */
  readonly onHeader: (client: ClientEnds, rest: Buffer) => void;
  /** Told once; the connection is to be ended. */
  readonly onRefused: (reason: DoorRefusal) => void;
}

/** Disposal refuses those who have not said it yet. */
export class Announcements implements Disposable {
  readonly #options: AnnouncementsOptions;
  readonly #noHeader: RareWarning;
  readonly #waiting = new Set<Disposable>();

  constructor(options: AnnouncementsOptions) {
    this.#options = options;
    this.#noHeader = new RareWarning(options.logger, "a peer that has to send a PROXY header, version 2, sent none");
  }

  /** Reads the header of a connection that has just come. */
  take(socket: Socket, { onHeader, onRefused }: Announced): void {
    const { admission, timeoutMs } = this.#options;
    const peer = endsOf(socket)?.source.address;
    let isShed = false;
    const place = admission.announcement(() => {
      isShed = true;
      header[Symbol.dispose]();
    });
    if (typeof place === "string") {
      onRefused(place);
      return;
    }
    const leave = () => {
      place[Symbol.dispose]();
      this.#waiting.delete(header);
    };
    const header = readProxyHeader(socket, {
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      onHeader: (client, rest) => {
        leave();
        onHeader(client, rest);
      },
      onRefused: (reason) => {
        leave();
        if (reason !== "broken") this.#noHeader.tell({ peer, reason });
        const isOver = reason === "timeout" || reason === "broken";
        onRefused(isShed ? "shed" : isOver ? reason : "proxy-header");
      },
    });
    this.#waiting.add(header);
  }

  [Symbol.dispose](): void {
    for (const one of this.#waiting) one[Symbol.dispose]();
  }
}
