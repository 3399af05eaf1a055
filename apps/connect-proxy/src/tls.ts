// The door: takes connections, reads whom they are for, and does the TLS handshake with that host's certificate. A client
// that names no host of this proxy gets an alert, never a certificate.
import type { Server, Socket } from "node:net";
import type { SecureContext } from "node:tls";
import { TLSSocket } from "node:tls";
import type { Logger } from "@sallyport/appkit/logger";
import type { ClientHelloResult } from "@sallyport/dataplane/client-hello";
import { ClientHelloReader, formatAlert } from "@sallyport/dataplane/client-hello";
import type { Refused } from "./admission.ts";
import { Admission } from "./admission.ts";
import type { Certificates } from "./certificates.ts";
import type { EdgeLimits } from "./edge-limits.ts";
import { HELLO_MS, MAX_HELLO_BYTES } from "./edge-limits.ts";
import { plainAddress } from "./forwarded.ts";
import { sandboxOf } from "./head/host.ts";
import { RareWarning } from "./rare-warning.ts";

/** A connection whose handshake is done. */
interface SecureConnection {
  readonly socket: TLSSocket;
  /** The TCP connection below. */
  readonly transport: Socket;
  /** What the certificate is for, in lower case: every request must be for this host. */
  readonly servername: string;
  /** Without port. */
  readonly peerAddress: string;
  /** As negotiated; a client that offers none speaks HTTP/1.1. */
  readonly protocol: "http/1.1" | "h2";
}

/** Why a connection ended before its handshake did. */
type DoorRefusal = Refused | "server-name" | "not-tls" | "certificate" | "timeout" | "broken";

export interface TlsDoorOptions {
  readonly certificates: Certificates;
  readonly connectDomain: string;
  readonly limits: EdgeLimits;
  /** Whether an address is of the operator's own proxies; none is when unset. */
  readonly isTrustedPeer?: ((address: string) => boolean) | undefined;
  /** Whether HTTP/2 is offered. */
  readonly http2: boolean;
  readonly onSecure: (connection: SecureConnection) => void;
  readonly onRefused: (reason: DoorRefusal) => void;
  readonly logger: Logger;
}

/** In the order of preference (RFC 7301, section 6): clients of HTTP/1.0 say so, too. */
const HTTP1_PROTOCOLS = ["http/1.1", "http/1.0"];

/** To whoever speaks HTTP here without TLS. */
const PLAIN_HTTP_BODY = "This port speaks HTTPS: use https://\n";
const PLAIN_HTTP_ANSWER =
  "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n" +
  `content-length: ${PLAIN_HTTP_BODY.length}\r\nconnection: close\r\n\r\n${PLAIN_HTTP_BODY}`;

/** Listens no more when disposed of, and cuts the handshakes under way; what has come through it leaves alone. */
export class TlsDoor implements Disposable {
  readonly admission: Admission;
  readonly #options: EntrantOptions;
  readonly #listeners = new Set<Server>();
  readonly #entrants = new Set<Entrant>();

  constructor(options: TlsDoorOptions) {
    this.admission = new Admission(options.limits, options.isTrustedPeer);
    const noCertificate = new RareWarning(options.logger, "no certificate for a host");
    this.#options = { ...options, admission: this.admission, noCertificate };
  }

  /** Takes connections from a listener that somebody else made. */
  listen(listener: Server): void {
    this.#listeners.add(listener);
    listener.on("connection", this.#accept);
    listener.on("error", (error) => this.#options.logger.error({ err: error }, "a listening socket failed"));
  }

  [Symbol.dispose](): void {
    for (const listener of this.#listeners) {
      listener.close();
      listener.off("connection", this.#accept);
      listener.on("connection", (late: Socket) => late.destroy());
    }
    for (const entrant of this.#entrants) entrant.refuse("broken");
  }

  readonly #accept = (socket: Socket): void => {
    const peerAddress = plainAddress(socket.remoteAddress ?? "");
    const { onRefused } = this.#options;
    const shed = () => {
      onRefused("shed");
      socket.destroy();
    };
    const place = this.admission.connection(peerAddress, shed);
    const handshake =
      typeof place === "string" ? place : this.admission.handshake(peerAddress, () => entrant.refuse("shed"));
    if (typeof place !== "string") socket.once("close", () => place[Symbol.dispose]());
    if (typeof handshake === "string") {
      onRefused(handshake);
      socket.on("error", () => socket.destroy());
      socket.destroy();
      return;
    }
    const entrant: Entrant = new Entrant(this.#options, socket, peerAddress, () => {
      handshake[Symbol.dispose]();
      this.#entrants.delete(entrant);
    });
    this.#entrants.add(entrant);
  };
}

interface EntrantOptions extends TlsDoorOptions {
  readonly admission: Admission;
  readonly noCertificate: RareWarning;
}

/** One connection, from its acceptance to the end of its handshake. */
class Entrant {
  readonly #options: EntrantOptions;
  readonly #socket: Socket;
  readonly #peerAddress: string;
  readonly #onSettled: () => void;
  #timer: NodeJS.Timeout;
  #received: Buffer = Buffer.alloc(0);
  readonly #hello = new ClientHelloReader();
  #isSettled = false;

  constructor(options: EntrantOptions, socket: Socket, peerAddress: string, onSettled: () => void) {
    this.#options = options;
    this.#socket = socket;
    this.#peerAddress = peerAddress;
    this.#onSettled = onSettled;
    this.#timer = setTimeout(this.#onTimeout, Math.min(HELLO_MS, options.limits.handshakeMs));
    socket.setNoDelay(true);
    socket.allowHalfOpen = true; // who has sent all it had to say still gets an answer
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.refuse("broken"));
    socket.once("end", this.#onEarlyEnd);
    socket.on("data", this.#onData);
  }

  /** Ends the connection with a last word, without waiting for the client. Only the first reason counts. */
  refuse(reason: DoorRefusal, lastWord?: Buffer | string): void {
    if (!this.#settle()) return;
    this.#options.onRefused(reason);
    if (lastWord === undefined) this.#socket.destroy();
    else this.#socket.end(lastWord, () => this.#socket.destroy());
  }

  readonly #onTimeout = (): void => this.refuse("timeout");

  readonly #onEarlyEnd = (): void => this.refuse("broken");

  /** Reads the ClientHello. */
  readonly #onData = (chunk: Buffer): void => {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const hello = this.#hello.push(chunk);
    if (hello.state === "need-more" && this.#received.length < MAX_HELLO_BYTES) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onTimeout, this.#options.limits.handshakeMs);
    this.#socket.pause();
    this.#socket.off("data", this.#onData);
    this.#socket.off("end", this.#onEarlyEnd);
    this.#answer(hello);
  };

  #answer(hello: ClientHelloResult): void {
    const { certificates, connectDomain } = this.#options;
    if (hello.state !== "hello" || hello.byteLength > MAX_HELLO_BYTES) {
      const isHttp = hello.state === "refused" && hello.reason === "plain-http";
      this.refuse("not-tls", isHttp ? PLAIN_HTTP_ANSWER : formatAlert("decode_error"));
      return;
    }
    const host = hello.serverName ?? "";
    const sandboxId = sandboxOf(host, connectDomain);
    if (sandboxId === undefined) {
      this.refuse("server-name", formatAlert("unrecognized_name"));
      return;
    }
    const context = certificates.peek(host);
    if (context !== undefined) {
      this.#proceed(context, host, sandboxId);
      return;
    }
    certificates.contextFor(host).then(
      (late) => this.#proceed(late, host, sandboxId),
      (error: unknown) => {
        this.#options.noCertificate.tell({ err: error, host });
        this.refuse("certificate", formatAlert("internal_error"));
      },
    );
  }

  /** Lets TLS read the hello again. */
  #proceed(context: SecureContext, host: string, sandboxId: string): void {
    const socket = this.#socket;
    if (this.#isSettled) return;
    const shed = () => {
      this.#options.onRefused("shed");
      socket.destroy();
    };
    const place = this.#options.admission.toSandbox(sandboxId, this.#peerAddress, shed);
    if (typeof place === "string") {
      this.refuse(place, formatAlert("internal_error"));
      return;
    }
    socket.once("close", () => place[Symbol.dispose]());
    socket.unshift(this.#received);
    this.#received = Buffer.alloc(0);
    const ALPNProtocols = this.#options.http2 ? ["h2", ...HTTP1_PROTOCOLS] : HTTP1_PROTOCOLS;
    const secure = new TLSSocket(socket, { isServer: true, secureContext: context, ALPNProtocols });
    const onError = () => secure.destroy();
    secure.on("error", onError);
    secure.once("secure", () => {
      // What was read here and what TLS read must be the same name.
      if (String(secure.servername).toLowerCase() !== host) {
        this.refuse("server-name");
        return;
      }
      if (!this.#settle()) return;
      // As Node's own TLS server does it: node:http2 waits for a client's handshake otherwise.
      Object.assign(secure, { secureConnecting: false });
      const protocol = secure.alpnProtocol === "h2" ? "h2" : "http/1.1";
      this.#options.onSecure({
        socket: secure,
        transport: socket,
        servername: host,
        peerAddress: this.#peerAddress,
        protocol,
      });
      secure.off("error", onError);
    });
  }

  #settle(): boolean {
    if (this.#isSettled) return false;
    this.#isSettled = true;
    clearTimeout(this.#timer);
    this.#onSettled();
    return true;
  }
}
