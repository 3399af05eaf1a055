// What an edge says to a connection whose ClientHello has been read, and what becomes of it then.
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { AlertName, ClientHello } from "@sallyport/dataplane/client-hello";
import type { Endpoint } from "@sallyport/dataplane/proxy-v2";
import type { Refused } from "./admission.ts";

/** Where a connection comes from and what it came to: of its socket, or as a peer that is believed says. */
export interface ClientEnds {
  readonly source: Endpoint;
  readonly destination: Endpoint;
}

/** Why a connection ended before its handshake did. */
export type DoorRefusal =
  | Refused
  /** No server name, or one that this edge does not serve. */
  | "server-name"
  /** None of the protocols that its client speaks. */
  | "alpn"
  /** Its client's address is not among those that may come. */
  | "not-allowed"
  /** A peer that has to say for whom it comes did not. */
  | "proxy-header"
  | "not-tls"
  | "certificate"
  | "timeout"
  | "broken";

/** A connection that is turned away, or ended to make room for another one. `Way`: see {@link DoorAnswer}. */
export interface TurnedAway<Way, Reason = DoorRefusal> {
  readonly reason: Reason;
  readonly transport: Socket;
  /** For a peer that did not say for whom it comes, its own. Undefined: the connection was gone before. */
  readonly client: ClientEnds | undefined;
  /** Undefined: where it was to go is not known. */
  readonly way: Way | undefined;
}

/** `Way`: what the edge wants to know again of the connection once its handshake is done. */
export type DoorAnswer<Way> =
  | {
      readonly kind: "handshake";
      readonly way: Way;
      /** Whose bound of connections counts. */
      readonly sandboxId: string;
      /**
       * In the order of preference (RFC 7301). A client that offers others alone gets `no_application_protocol`, one that
       * offers none is served.
       */
      readonly alpn: readonly string[];
    }
  /** It goes on elsewhere, still closed. */
  | { readonly kind: "hand-over"; readonly take: (connection: UnopenedConnection) => void }
  | {
      readonly kind: "refuse";
      readonly reason: DoorRefusal;
      readonly alert: AlertName;
      /** Where it would have gone; undefined: nowhere that is known. */
      readonly way?: Way | undefined;
    };

/** The server name is in lower case, without a final dot; undefined: the client sent none. */
export type Answer<Way> = (hello: ClientHello, client: ClientEnds) => DoorAnswer<Way>;

/** A connection of which the ClientHello alone has been read. */
export interface UnopenedConnection {
  /** Paused. */
  readonly socket: Socket;
  /** What has been read of it. */
  readonly bytes: Buffer;
  readonly client: ClientEnds;
}

/** A connection whose handshake is done. */
export interface SecureConnection<Way> {
  readonly socket: TLSSocket;
  /** The TCP connection below. */
  readonly transport: Socket;
  /** What the certificate is for, in lower case: every request must be for this host. */
  readonly servername: string;
  /** Of the client, without port. */
  readonly peerAddress: string;
  readonly client: ClientEnds;
  /** As negotiated; undefined: the client offered none. */
  readonly protocol: string | undefined;
  readonly way: Way;
}
