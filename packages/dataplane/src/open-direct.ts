// Opens a port as `openPort` does, for whoever takes its bytes as they are read: into one buffer per connection, past a
// stream's own buffers. For a proxy that answers thousands of requests each second that is a fifth of its work.
import type { Socket } from "node:net";
import { connect } from "node:net";
import type { ConnectRequest } from "./connect-request.ts";
import { formatConnectRequest, MAX_CONNECT_HEAD_BYTES, parseConnectAnswer } from "./connect-request.ts";
import { Deadline } from "./deadline.ts";
import type { OpenOptions } from "./open.ts";
import { OPEN_MS, OpenError, refusalOf } from "./open.ts";

/** An open port. Paused. It tells of everything that a socket does but of "data". */
export interface DirectPort {
  readonly socket: Socket;
  /**
   * From now on bytes go to this function, each time bytes that are its own. At once those that came already. `glance` is
   * shown each read first: so many bytes of memory that is read into again once it returns. True: it needs them no more.
   */
  read(take: (bytes: Buffer) => void, glance?: (shared: Buffer, count: number) => boolean): void;
}

/** Of one read. */
const BUFFER_BYTES = 65_536;
/** Larger reads get memory that is theirs alone, so that whoever is done with one may give it back. */
const MAX_SHARED_BYTES = 4_096;

/** Rejects as `openPort` does. */
export async function openPortDirect(
  socketPath: string,
  target: ConnectRequest,
  options: OpenOptions = {},
): Promise<DirectPort> {
  options.signal?.throwIfAborted();
  using deadline = new Deadline(options.timeoutMs ?? OPEN_MS, options.signal);
  const { signal } = deadline;
  const answered = Promise.withResolvers<string | undefined>();
  const head = new HeadReader((text) => answered.resolve(text));
  let take = (bytes: Buffer): void => head.take(bytes);
  let glance = (_shared: Buffer, _count: number): boolean => false;
  let buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  const socket = connect({
    path: socketPath,
    allowHalfOpen: true,
    onread: {
      buffer: () => buffer,
      callback: (count) => {
        if (!glance(buffer, count)) take(own(count));
        return true;
      },
    },
  });
  function own(count: number): Buffer {
    const whole = buffer;
    if (count === BUFFER_BYTES) {
      buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
      return whole;
    }
    const bytes = count > MAX_SHARED_BYTES ? Buffer.allocUnsafeSlow(count) : Buffer.allocUnsafe(count);
    whole.copy(bytes, 0, 0, count);
    return bytes;
  }
  let cause: unknown;
  const onEnd = () => answered.resolve(undefined);
  const onAbort = () => answered.reject(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
  socket.on("error", (error) => {
    cause = error;
  });
  socket.once("end", onEnd);
  socket.once("close", onEnd);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    socket.write(formatConnectRequest(target));
    const status = parseConnectAnswer((await answered.promise) ?? "");
    if (status === undefined) throw new OpenError("GatewayUnavailable", { cause });
    if (status !== 200) throw refusalOf(status);
    socket.pause();
    return {
      socket,
      read(taker, glancer) {
        take = taker;
        if (glancer !== undefined) glance = glancer;
        const early = head.rest();
        if (early.length > 0) taker(early);
      },
    };
  } catch (error) {
    socket.destroy();
    options.signal?.throwIfAborted();
    throw error instanceof OpenError ? error : new OpenError("Timeout", { cause: error });
  } finally {
    socket.off("end", onEnd);
    socket.off("close", onEnd);
    signal.removeEventListener("abort", onAbort);
  }
}

/** Gathers bytes up to the end of a head. */
class HeadReader {
  readonly #onHead: (text: string | undefined) => void;
  #bytes = Buffer.alloc(0);
  #end = -1;

  constructor(onHead: (text: string | undefined) => void) {
    this.#onHead = onHead;
  }

  take(bytes: Buffer): void {
    const searchFrom = Math.max(0, this.#bytes.length - 3);
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    if (this.#end !== -1) return;
    this.#end = this.#bytes.indexOf("\r\n\r\n", searchFrom);
    const headBytes = this.#end === -1 ? this.#bytes.length : this.#end;
    if (headBytes > MAX_CONNECT_HEAD_BYTES) this.#onHead(undefined);
    else if (this.#end !== -1) this.#onHead(this.#bytes.toString("latin1", 0, this.#end));
  }

  /** What came behind the head. */
  rest(): Buffer {
    return this.#bytes.subarray(this.#end + 4);
  }
}
