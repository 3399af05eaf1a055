// Resets of one connection told to the connection it is relayed to: TCP knows an end that is none (RFC 9293, section 3.5.2),
// and whoever reads must not take a stream that broke off for one that is whole.
//
// A Unix socket knows no reset, but whether its peer has closed its half or all of it: at the end of what it sends, an empty
// write fails (EPIPE) in the second case alone. So a reset passes the gateway's socket as a close of both halves at once,
// unless the half towards it has been ended before: then it arrives as an end.
import { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** One of two connections. */
export interface ResetSide {
  /** What is relayed. */
  readonly stream: Duplex;
  /** The connection below, if another one: TCP under TLS. */
  readonly transport?: Socket | undefined;
}

/** Who was first to break off. */
export interface Resets {
  readonly by: "left" | "right" | undefined;
}

const NOTHING: Buffer = Buffer.alloc(0);

/** To be called before the two are relayed, so that no end is told where a reset is to be. */
export function mapResets(left: ResetSide, right: ResetSide): Resets {
  const resets: { by: "left" | "right" | undefined } = { by: undefined };
  const watch = (from: ResetSide, to: ResetSide, side: "left" | "right") => {
    const onBroken = () => {
      resets.by ??= side;
      reset(to);
    };
    from.stream.once("error", onBroken);
    from.stream.once("end", () => {
      if (hasGone(from.stream)) onBroken();
    });
  };
  watch(left, right, "left");
  watch(right, left, "right");
  return resets;
}

/** Breaks a connection off, so that its peer knows. */
export function reset({ stream, transport }: ResetSide): void {
  const socket = transport ?? stream;
  const isShuttingDown = stream.writableEnded && !stream.writableFinished; // libuv resets no such socket
  if (socket instanceof Socket && socket.remoteFamily !== undefined && !isShuttingDown) socket.resetAndDestroy();
  else socket.destroy();
}

/** Whether the peer of a Unix socket, all of whose bytes have been read, has closed both of its halves. */
function hasGone(stream: Duplex): boolean {
  if (!(stream instanceof Socket) || stream.remoteFamily !== undefined) return false;
  if (stream.writableEnded || stream.destroyed) return false;
  stream.write(NOTHING);
  return stream.errored !== null;
}
