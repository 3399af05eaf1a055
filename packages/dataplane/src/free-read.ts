// The memory of large reads, given back as soon as they are written on. Left to the collector it is what makes it run: of a
// long body that was a third of the work.

/** Smaller reads are left to the collector. */
const MIN_BYTES = 16_384;

/** Whether a read is worth giving back: it is large, and its memory is its own alone, as what sockets read into is. */
export function isFreeable({ buffer, byteLength }: Buffer): boolean {
  return byteLength >= MIN_BYTES && byteLength === buffer.byteLength;
}

/** Nobody may need it any more, the kernel included: whoever still has a part of it finds that part empty. */
export function freeRead({ buffer }: Buffer): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}
