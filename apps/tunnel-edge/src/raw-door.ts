// The door of raw ports: a connection is let in by the port that it came to and the address that it comes from.
import type { Socket } from "node:net";
import { reset } from "@sallyport/dataplane";
import type { Admission, ClientEnds, DoorRefusal, Refused } from "@sallyport/edge";
import { endsOf, readProxyHeader } from "@sallyport/edge";
import type { Arrival } from "./tunnel-connection.ts";
import type { Way, Ways } from "./ways.ts";
import { isWay } from "./ways.ts";

/** Why a connection was turned away. */
export type RawRefusal = DoorRefusal | "unknown";

export interface RawDoorOptions {
  readonly admission: Admission;
  readonly ways: Ways;
  /** Whether a peer of this address begins its connections with a PROXY header. */
  readonly sendsProxyHeader: (address: string) => boolean;
  readonly onArrival: (arrival: Arrival) => void;
  readonly onRefused: (reason: RawRefusal) => void;
  /** Told of a client that may not come, beside that. */
  readonly onNotAllowed: (way: Way, client: ClientEnds) => void;
}

/** Disposal cuts those who have not come through yet. */
export class RawDoor implements Disposable {
  readonly #options: RawDoorOptions;
  readonly #waiting = new Set<Disposable>();

  constructor(options: RawDoorOptions) {
    this.#options = options;
  }

  /** Takes a connection to a public port. */
  enter(socket: Socket, publicPort: number): void {
    socket.on("error", ignoreBecauseCloseFollows);
    const ends = endsOf(socket);
    if (ends === undefined) this.#refuse(socket, "broken");
    else if (this.#options.sendsProxyHeader(ends.source.address)) this.#awaitHeader(socket, publicPort);
    else this.#admit(socket, publicPort, ends);
  }

  [Symbol.dispose](): void {
    for (const one of this.#waiting) one[Symbol.dispose]();
  }

  #awaitHeader(socket: Socket, publicPort: number): void {
    const place = this.#options.admission.announcement(() => this.#refuse(socket, "shed"));
    if (typeof place === "string") {
      this.#refuse(socket, place);
      return;
    }
    const leave = () => {
      place[Symbol.dispose]();
      this.#waiting.delete(header);
    };
    const header = readProxyHeader(socket, {
      onHeader: (client, rest) => {
        leave();
        socket.pause();
        if (rest.length > 0) socket.unshift(rest);
        this.#admit(socket, publicPort, client);
      },
      onRefused: (reason) => {
        leave();
        this.#options.onRefused(reason === "timeout" || reason === "broken" ? reason : "proxy-header");
      },
    });
    this.#waiting.add(header);
  }

  #admit(socket: Socket, publicPort: number, client: ClientEnds): void {
    const { onArrival, onNotAllowed, ways } = this.#options;
    const way = ways.byPublicPort(publicPort, client.source.address);
    if (way === "unknown") {
      this.#refuse(socket, way);
      return;
    }
    if (!isWay(way)) {
      onNotAllowed(way.notAllowed, client);
      this.#refuse(socket, "not-allowed");
      return;
    }
    const refusal = this.#takePlaces(socket, way, client.source.address);
    if (refusal !== undefined) this.#refuse(socket, refusal);
    else onArrival({ way, kind: "raw", stream: socket, transport: socket, client, serverName: undefined });
  }

  /** Among all connections, and among the sandbox's; given back when the connection closes. */
  #takePlaces(socket: Socket, { route }: Way, address: string): Refused | undefined {
    const { admission } = this.#options;
    const shed = () => this.#refuse(socket, "shed");
    for (const take of [
      () => admission.connection(address, shed),
      () => admission.toSandbox(route.sandboxId, address, shed),
    ]) {
      const place = take();
      if (typeof place === "string") return place;
      socket.once("close", () => place[Symbol.dispose]());
    }
    return undefined;
  }

  #refuse(socket: Socket, reason: RawRefusal): void {
    this.#options.onRefused(reason);
    reset({ stream: socket });
  }
}

function ignoreBecauseCloseFollows(): void {
  // "close" comes right after "error", and is what ends the connection.
}
