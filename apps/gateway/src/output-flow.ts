// One output on its way from init to the spool: which byte comes next, how far init may go, when it may free its own.
import type { InitConnection } from "./init/connection.ts";
import { InitProtocolError } from "./init/errors.ts";
import type { OutputFd } from "./init/messages.ts";
import { encodeAck, encodeResume } from "./init/messages.ts";
import type { StreamSpool } from "./spool/stream.ts";

/** What a flow asks of the instance that it belongs to. */
export interface FlowHost {
  /** Whether the instance may keep more bytes. */
  hasRoom(): boolean;
  /** Memory that holds bytes on their way to the disk grew or shrank. */
  charge(deltaBytes: number): void;
  /** The flow withheld an acknowledgement for want of room, or no longer does. */
  withheld(flow: OutputFlow, withheld: boolean): void;
  /** Something changed by which withheld acknowledgements may be due. */
  roomMayBeMade(): void;
}

/** What each frame of output costs beside its bytes, while it waits for the disk. */
const FRAME_COST_BYTES = 256;
/** Smaller payloads are copied: a view would keep the whole chunk that they came in. */
const COPIED_BYTES = 4_096;

interface Session {
  readonly connection: InitConnection;
  readonly handle: number;
  /** The offset that comes next; unset until RESUME is sent. */
  expected: number | undefined;
  /** Everything below was acknowledged. */
  acked: number;
}

export class OutputFlow {
  readonly spool: StreamSpool;
  readonly #fd: OutputFd;
  readonly #host: FlowHost;
  #session: Session | undefined;
  #finishing = false;
  #chargedBytes = 0;

  constructor(fd: OutputFd, spool: StreamSpool, host: FlowHost) {
    this.#fd = fd;
    this.spool = spool;
    this.#host = host;
  }

  /** Goes on where the spool ends. Throws InitProtocolError when init cannot have what is missing. */
  connect(connection: InitConnection, handle: number, range: { readonly start: number; readonly end: number }): void {
    const { spool } = this;
    if (range.start > spool.end || range.end < spool.tail || (spool.ended && range.end !== spool.end)) {
      throw new InitProtocolError(
        `output ${this.#fd} from ${range.start} to ${range.end}, where ${spool.end} bytes are known`,
      );
    }
    const session: Session = { connection, handle, expected: undefined, acked: spool.end };
    this.#session = session;
    if (spool.tail === spool.end) this.#resume(session);
    // RESUME acknowledges: what an earlier connection brought must be on disk first.
    else void spool.settled().then(() => this.#resume(session));
  }

  disconnect(): void {
    this.#session = undefined;
  }

  /** Takes bytes from init. */
  output(offset: number, data: Buffer): void {
    const session = this.#mustFlow(offset);
    const end = offset + data.length;
    if (end > session.acked + session.connection.welcome.ringBytes) {
      throw new InitProtocolError(`output ${this.#fd} up to ${end}, where ${session.acked} bytes are acknowledged`);
    }
    session.expected = end;
    const cost = data.length + FRAME_COST_BYTES;
    this.#chargedBytes += cost;
    this.#host.charge(cost);
    this.spool.append(data.length < COPIED_BYTES ? Buffer.from(data) : data);
  }

  /** Takes the end from init. */
  outputEnd(offset: number): void {
    if (this.#finishing || this.spool.ended) {
      if (offset !== this.spool.tail) throw new InitProtocolError(`output ${this.#fd} ends at two places`);
      this.#session?.connection.countIdleFrame();
      return;
    }
    this.#mustFlow(offset);
    this.finish();
  }

  /** The output ends with what is there. */
  finish(): void {
    this.#finishing = true;
    this.spool.finish();
  }

  /** Bytes reached the disk, or room was made: acknowledges what can be. */
  stored(): void {
    if (this.spool.tail === this.spool.end && this.#chargedBytes > 0) {
      const charged = this.#chargedBytes;
      this.#chargedBytes = 0;
      this.#host.charge(-charged);
    }
    const session = this.#session;
    const { end } = this.spool;
    if (session?.expected === undefined || end <= session.acked) {
      this.#host.withheld(this, false);
      return;
    }
    const hasRoom = this.spool.hasRoom && this.#host.hasRoom();
    this.#host.withheld(this, !hasRoom);
    if (!hasRoom) return;
    session.acked = end;
    session.connection.send(encodeAck(session.handle, this.#fd, end));
  }

  #resume(session: Session): void {
    if (this.#session !== session || this.spool.ended) return;
    const { end } = this.spool;
    session.expected = end;
    session.acked = end;
    session.connection.send(encodeResume(session.handle, this.#fd, end));
  }

  #mustFlow(offset: number): Session {
    const session = this.#session;
    if (session?.expected === undefined || this.#finishing || this.spool.ended) {
      throw new InitProtocolError(`output ${this.#fd} that was not asked for`);
    }
    if (session.expected !== offset) {
      throw new InitProtocolError(`output ${this.#fd} at ${offset}, where ${session.expected} comes next`);
    }
    return session;
  }
}
