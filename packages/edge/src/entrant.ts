// One connection, from its acceptance to the end of its handshake: reads the ClientHello, asks what is to become of it, and
// lets TLS read the hello again.
import type { Socket } from "node:net";
import type { SecureContext } from "node:tls";
import { TLSSocket } from "node:tls";
import type { ClientHelloResult } from "@sallyport/dataplane/client-hello";
import { ClientHelloReader, formatAlert } from "@sallyport/dataplane/client-hello";
import type { Admission } from "./admission.ts";
import type { Certificates } from "./certificates.ts";
import type { Answer, ClientEnds, DoorAnswer, DoorRefusal, SecureConnection, TurnedAway } from "./door-answer.ts";
import type { EdgeLimits } from "./edge-limits.ts";
import { HELLO_MS, MAX_HELLO_BYTES } from "./edge-limits.ts";
import { hostInLog } from "./log-text.ts";
import type { RareWarning } from "./rare-warning.ts";
import type { UnsentTls } from "./unsent-tls.ts";

export interface EntrantPlace<Way> {
  readonly admission: Admission;
  readonly limits: Pick<EdgeLimits, "handshakeMs">;
  readonly certificates: Certificates;
  readonly answer: Answer<Way>;
  readonly onSecure: (connection: SecureConnection<Way>) => void;
  /** Told once of each connection, but again of one that had come through and was ended to make room. */
  readonly onRefused: (refused: TurnedAway<Way>) => void;
  readonly noCertificate: RareWarning;
  readonly unsent: UnsentTls;
}

type Handshake<Way> = Extract<DoorAnswer<Way>, { kind: "handshake" }>;

/** To whoever speaks HTTP here without TLS. */
const PLAIN_HTTP_BODY = "This port speaks HTTPS: use https://\n";
const PLAIN_HTTP_ANSWER =
  "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n" +
  `content-length: ${PLAIN_HTTP_BODY.length}\r\nconnection: close\r\n\r\n${PLAIN_HTTP_BODY}`;

/** Disposal ends it unless it is through. */
export class Entrant<Way> implements Disposable {
  readonly #place: EntrantPlace<Way>;
  readonly #socket: Socket;
  readonly #client: ClientEnds;
  readonly #onSettled: () => void;
  #timer: NodeJS.Timeout;
  #received: Buffer = Buffer.alloc(0);
  readonly #hello = new ClientHelloReader();
  /** Once the hello has said where it is to go. */
  #way: Way | undefined;
  #isSettled = false;

  constructor(place: EntrantPlace<Way>, socket: Socket, client: ClientEnds, onSettled: () => void) {
    this.#place = place;
    this.#socket = socket;
    this.#client = client;
    this.#onSettled = onSettled;
    this.#timer = setTimeout(this.#onTimeout, Math.min(HELLO_MS, place.limits.handshakeMs));
    socket.once("close", this.#onBroken);
    socket.once("end", this.#onBroken);
    socket.on("data", this.#onData);
  }

  /** Takes bytes that were read of the connection before. */
  read(bytes: Buffer): void {
    this.#onData(bytes);
  }

  /**
   * Ends the connection with a last word, without waiting for the client. Only the first reason counts; false: it is over,
   * or has come through.
   */
  refuse(reason: DoorRefusal, lastWord?: Buffer | string): boolean {
    if (!this.#settle()) return false;
    this.#tell(reason);
    if (lastWord === undefined) this.#socket.destroy();
    else this.#socket.end(lastWord, () => this.#socket.destroy());
    return true;
  }

  #tell(reason: DoorRefusal): void {
    this.#place.onRefused({ reason, transport: this.#socket, client: this.#client, way: this.#way });
  }

  [Symbol.dispose](): void {
    this.refuse("broken");
  }

  readonly #onTimeout = (): void => void this.refuse("timeout");

  readonly #onBroken = (): void => void this.refuse("broken");

  /** Reads the ClientHello. */
  readonly #onData = (chunk: Buffer): void => {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const hello = this.#hello.push(chunk);
    if (hello.state === "need-more" && this.#received.length < MAX_HELLO_BYTES) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onTimeout, this.#place.limits.handshakeMs);
    this.#socket.pause();
    this.#socket.off("data", this.#onData);
    this.#socket.off("end", this.#onBroken);
    this.#answer(hello);
  };

  #answer(hello: ClientHelloResult): void {
    if (hello.state === "refused" && hello.reason === "server-name") {
      this.refuse("server-name", formatAlert("unrecognized_name"));
      return;
    }
    if (hello.state !== "hello" || hello.byteLength > MAX_HELLO_BYTES) {
      const isHttp = hello.state === "refused" && hello.reason === "plain-http";
      this.refuse("not-tls", isHttp ? PLAIN_HTTP_ANSWER : formatAlert("decode_error"));
      return;
    }
    const answer = this.#place.answer(hello, this.#client);
    if (answer.kind !== "hand-over") this.#way = answer.way;
    if (answer.kind === "refuse") this.refuse(answer.reason, formatAlert(answer.alert));
    else if (answer.kind === "hand-over") this.#handOver(answer.take);
    else if (hello.serverName === undefined) this.refuse("server-name", formatAlert("unrecognized_name"));
    else if (hello.alpn.length > 0 && !hello.alpn.some((name) => answer.alpn.includes(name))) {
      this.refuse("alpn", formatAlert("no_application_protocol"));
    } else this.#certify(hello.serverName, answer);
  }

  #handOver(take: Extract<DoorAnswer<Way>, { kind: "hand-over" }>["take"]): void {
    if (!this.#settle()) return;
    const bytes = this.#received;
    this.#received = Buffer.alloc(0);
    take({ socket: this.#socket, bytes, client: this.#client });
  }

  #certify(host: string, answer: Handshake<Way>): void {
    const { certificates, noCertificate } = this.#place;
    const context = certificates.peek(host);
    if (context !== undefined) {
      this.#shakeHands(context, host, answer);
      return;
    }
    certificates.contextFor(host).then(
      (late) => this.#shakeHands(late, host, answer),
      (error: unknown) => {
        noCertificate.tell({ err: error, host: hostInLog(host) });
        this.refuse("certificate", formatAlert("internal_error"));
      },
    );
  }

  /** Lets TLS read the hello again. */
  #shakeHands(secureContext: SecureContext, host: string, { alpn, sandboxId, way }: Handshake<Way>): void {
    const socket = this.#socket;
    if (this.#isSettled) return;
    const { address } = this.#client.source;
    const shed = () => {
      if (this.refuse("shed")) return;
      this.#tell("shed");
      socket.destroy();
    };
    const place = this.#place.admission.toSandbox(sandboxId, address, shed);
    if (typeof place === "string") {
      this.refuse(place, formatAlert("internal_error"));
      return;
    }
    socket.once("close", () => place[Symbol.dispose]());
    socket.unshift(this.#received);
    this.#received = Buffer.alloc(0);
    const secure = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: [...alpn] });
    const onError = () => secure.destroy();
    secure.on("error", onError);
    secure.once("end", this.#onBroken); // no handshake ends without the client
    secure.once("secure", () => {
      if (!isFor(secure, host)) {
        this.refuse("server-name");
        return;
      }
      if (!this.#settle()) return;
      secure.off("end", this.#onBroken);
      // As Node's own TLS server does it: whoever looks takes it for a client amid its handshake otherwise.
      Object.assign(secure, { secureConnecting: false });
      this.#place.unsent.watch(secure);
      this.#place.onSecure({
        socket: secure,
        transport: socket,
        servername: host,
        peerAddress: address,
        client: this.#client,
        protocol: secure.alpnProtocol === false ? undefined : (secure.alpnProtocol ?? undefined),
        way,
      });
      secure.off("error", onError);
    });
  }

  #settle(): boolean {
    if (this.#isSettled) return false;
    this.#isSettled = true;
    clearTimeout(this.#timer);
    this.#socket.off("data", this.#onData);
    this.#socket.off("close", this.#onBroken);
    this.#socket.off("end", this.#onBroken);
    this.#onSettled();
    return true;
  }
}

/**
 * Whether what was read here and what TLS read is the same name. Of a session that TLS 1.2 resumes no name is told: it was
 * compared when the session began, and the context of no other host could have resumed it.
 */
function isFor(secure: TLSSocket, host: string): boolean {
  const { servername } = secure;
  if (typeof servername !== "string" || servername === "") return secure.isSessionReused();
  const name = servername.toLowerCase();
  return (name.endsWith(".") ? name.slice(0, -1) : name) === host;
}
