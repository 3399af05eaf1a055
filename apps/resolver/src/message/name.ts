// Names in messages: length-prefixed labels, kept as the bytes they are. A label may hold any byte, a dot too: whoever
// turns names into text and back mistakes one name for another, so nothing here does.

import { MessageError } from "./wire.ts";

/** A name as uncompressed bytes, with the root's zero at the end. */
export type Name = Uint8Array;

const MAX_BYTES = 255;
const POINTER = 0xc0;

export interface NameAt {
  readonly name: Name;
  /** Offset of what follows. */
  readonly end: number;
}

/**
 * Reads the name at an offset. `compressed`: whether pointers are allowed, which only lead backwards.
 * Throws MessageError.
 */
export function readName(message: Uint8Array, offset: number, compressed: boolean): NameAt {
  const labels: Uint8Array[] = [];
  let length = 1;
  let end: number | undefined;
  let at = offset;
  let lowest = offset;
  for (;;) {
    const size = message[at];
    if (size === undefined) throw new MessageError("a name runs over the end");
    if (size === 0) return { name: join(labels, length), end: end ?? at + 1 };
    if (size >= POINTER) {
      const low = message[at + 1];
      if (!compressed || low === undefined) throw new MessageError("a pointer where none may be");
      end ??= at + 2;
      at = (size - POINTER) * 256 + low;
      // Each further back than all before: no loops, and no more than the message is long.
      if (at >= lowest) throw new MessageError("a pointer that does not lead back");
      lowest = at;
      continue;
    }
    if (size > 63) throw new MessageError("a label of no known kind");
    const label = message.subarray(at, at + 1 + size);
    length += label.length;
    if (label.length !== size + 1 || length > MAX_BYTES) throw new MessageError("a name that is too long");
    labels.push(label);
    at += size + 1;
  }
}

function join(labels: readonly Uint8Array[], length: number): Name {
  const name = new Uint8Array(length);
  let at = 0;
  for (const label of labels) {
    name.set(label, at);
    at += label.length;
  }
  return name;
}

/** Text that is the same for two names exactly where the DNS takes them for one: letters of ASCII without case. */
export function nameKey(name: Name): string {
  return Buffer.from(name)
    .toString("latin1")
    .replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

export function sameName(left: Name, right: Name): boolean {
  return left.length === right.length && nameKey(left) === nameKey(right);
}

/** Labels from the left, in lower case, one character for each byte. The root has none. */
export function labelsOf(name: Name): string[] {
  const key = nameKey(name);
  const labels: string[] = [];
  for (let at = 0; key.charCodeAt(at) > 0; at += 1 + key.charCodeAt(at)) {
    labels.push(key.slice(at + 1, at + 1 + key.charCodeAt(at)));
  }
  return labels;
}

/** Whether `name` is `parent` or below it. */
export function isWithin(name: Name, parent: Name): boolean {
  const [own, above] = [labelsOf(name), labelsOf(parent)];
  return own.length >= above.length && above.every((label, index) => label === own[own.length - above.length + index]);
}

/** From labels, for tests and tables. Throws MessageError where one is empty or too long. */
export function nameOf(labels: readonly string[]): Name {
  const parts = labels.map((label) => {
    const bytes = Buffer.from(label, "latin1");
    if (bytes.length === 0 || bytes.length > 63) throw new MessageError("a label has 1 to 63 bytes");
    return Buffer.concat([Uint8Array.of(bytes.length), bytes]);
  });
  const length = parts.reduce((sum, part) => sum + part.length, 1);
  if (length > MAX_BYTES) throw new MessageError("a name that is too long");
  return join(parts, length);
}
