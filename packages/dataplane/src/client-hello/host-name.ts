// The one kind of name that server_name has (RFC 6066, section 3).
import { Malformed, VectorReader } from "./vectors.ts";

const HOST_NAME = 0;
const MAX_CHARACTERS = 253;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const NUMBER = /^[0-9]+$/;

/**
 * The extension's host name, in lower case and without its final dot; undefined when it is none that a host can have: an
 * address, empty labels, characters beyond letters, digits and hyphens. Throws `Malformed` when the extension is no list
 * of one host name: no other kind is defined, and two of one kind are forbidden.
 */
export function hostNameOf(content: Buffer): string | undefined {
  const extension = new VectorReader(content);
  const list = new VectorReader(extension.vector(2, 1));
  extension.end();
  if (list.number(1) !== HOST_NAME) throw new Malformed("a name of a kind that is not defined");
  const text = list.vector(2, 1).toString("latin1");
  list.end();
  const name = toLowerCase(text.endsWith(".") ? text.slice(0, -1) : text);
  return isHostName(name) ? name : undefined;
}

/** ASCII letters only: a lower-case form of another letter could become one of ours. */
function toLowerCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function isHostName(name: string): boolean {
  if (name.length > MAX_CHARACTERS) return false;
  const labels = name.split(".");
  // What ends in a number is an IPv4 address to some who read it.
  return labels.every((label) => LABEL.test(label)) && !NUMBER.test(labels.at(-1) ?? "");
}
