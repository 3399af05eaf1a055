// The door of raw ports: a connection is let in by the port that it came to and the address that it comes from.
import type { Socket } from "node:net";
import type { Logger } from "@sallyport/appkit/logger";
import { reset } from "@sallyport/dataplane";
import type { Admission, ClientEnds, DoorRefusal, Refused, TurnedAway } from "@sallyport/edge";
import { Announcements, endsOf } from "@sallyport/edge";
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
  /** Told once of each connection, but again of one that had come through and was ended to make room. */
  readonly onRefused: (refused: TurnedAway<Way, RawRefusal>) => void;
  readonly logger: Logger;
}

/** Disposal cuts those who have not come through yet. */
export class RawDoor implements Disposable {
  readonly #options: RawDoorOptions;
  readonly #announcements: Announcements;

  constructor(options: RawDoorOptions) {
    this.#options = options;
    this.#announcements = new Announcements({ admission: options.admission, logger: options.logger });
  }

  /** Takes a connection to a public port. */
  enter(socket: Socket, publicPort: number): void {
    const { sendsProxyHeader, ways } = this.#options;
    socket.on("error", ignoreBecauseCloseFollows);
    const client = endsOf(socket);
    const refuse = (reason: RawRefusal) =>
      this.#refuse({ reason, transport: socket, client, way: ways.ofPublicPort(publicPort) });
    if (client === undefined) refuse("broken");
    else if (sendsProxyHeader(client.source.address)) {
      const before = ways.ofPublicPort(publicPort);
      this.#announcements.take(socket, {
        onHeader: (announced, rest) => {
          socket.pause();
          if (rest.length > 0) socket.unshift(rest);
          // The port may be another sandbox's by now, which this connection did not come to.
          if (ways.ofPublicPort(publicPort)?.tunnel.label !== before?.tunnel.label) refuse("unknown");
          else this.#admit(socket, publicPort, announced);
        },
        onRefused: refuse,
      });
    } else this.#admit(socket, publicPort, client);
  }

  [Symbol.dispose](): void {
    this.#announcements[Symbol.dispose]();
  }

  #admit(socket: Socket, publicPort: number, client: ClientEnds): void {
    const { onArrival, ways } = this.#options;
    const found = ways.byPublicPort(publicPort, client.source.address);
    const way = found === "unknown" ? undefined : isWay(found) ? found : found.notAllowed;
    const refuse = (reason: RawRefusal) => this.#refuse({ reason, transport: socket, client, way });
    if (found === "unknown") refuse("unknown");
    else if (!isWay(found)) refuse("not-allowed");
    else {
      const refusal = this.#takePlaces(socket, found, client.source.address, () => refuse("shed"));
      if (refusal !== undefined) refuse(refusal);
      else onArrival({ way: found, kind: "raw", stream: socket, transport: socket, client, serverName: undefined });
    }
  }

  /** Among all connections, and among the sandbox's; given back when the connection closes. */
  #takePlaces(socket: Socket, { route }: Way, address: string, shed: () => void): Refused | undefined {
    const { admission } = this.#options;
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

  #refuse(refused: TurnedAway<Way, RawRefusal>): void {
    this.#options.onRefused(refused);
    reset({ stream: refused.transport });
  }
}

function ignoreBecauseCloseFollows(): void {
  // "close" comes right after "error", and is what ends the connection.
}
