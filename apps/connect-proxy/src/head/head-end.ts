// Where a head ends in bytes that arrive piece by piece.

const END = Buffer.from("\r\n\r\n");
const LF = 0x0a;
const CR = 0x0d;

/**
 * Where the first byte behind the head is, when bytes before `seen` were looked at already; -1: not there yet. Bytes
 * before `seen` are never looked at again but for the three that an end may begin with.
 */
export function headEnd(bytes: Buffer, seen: number): number {
  const at = bytes.indexOf(END, Math.max(0, seen - 3));
  return at === -1 ? -1 : at + END.length;
}

/** Whether a line feed without its carriage return is among the bytes from `seen` on: that head never becomes sound. */
export function hasBareLineFeed(bytes: Buffer, seen: number): boolean {
  for (let at = bytes.indexOf(LF, seen); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    if (at === 0 || bytes[at - 1] !== CR) return true;
  }
  return false;
}
