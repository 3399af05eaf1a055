// Which characters may stand where in a head, as tables over latin1 codes (RFC 9110, section 5.6.2; RFC 9112, section 3).

/** 1 for each code of the table; anything beyond 255 is in no table, for no byte is. */
export type CharacterTable = Readonly<Uint8Array>;

function table(isIn: (code: number) => boolean): CharacterTable {
  return Uint8Array.from({ length: 256 }, (_, code) => (isIn(code) ? 1 : 0));
}

/** Of a token: a field name, a connection option. */
export const TOKEN: CharacterTable = table((code) => /[!#$%&'*+.^_`|~0-9A-Za-z-]/.test(String.fromCharCode(code)));
/** Inside a field value, a reason phrase or a chunk extension: HTAB, printable ASCII, obs-text. */
export const FIELD_VALUE: CharacterTable = table((code) => code === 9 || (code >= 0x20 && code !== 0x7f));
/** What a value holds must not hold; an expression that looks for it passes over long values many times faster than a loop. */
const NOT_IN_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
/** Inside a request target: printable ASCII without blanks, and without a fragment, which never is on the wire. */
export const TARGET: CharacterTable = table((code) => code > 0x20 && code < 0x7f && code !== 0x23);
/** Hexadecimal digits. */
export const HEX: CharacterTable = table((code) => /[0-9A-Fa-f]/.test(String.fromCharCode(code)));

/** Where the run of a table's characters that begins at `from` ends. */
export function skip(text: string, from: number, characters: CharacterTable): number {
  const { length } = text;
  let at = from;
  // Within bounds: a look-up by NaN costs more than all others of a line.
  while (at < length && characters[text.charCodeAt(at)] === 1) at += 1;
  return at;
}

/** Whether all of a text is of `FIELD_VALUE`. */
export function isFieldValue(text: string): boolean {
  return !NOT_IN_VALUE.test(text);
}

/** Whether all of a text is of a table. */
export function isAll(text: string, characters: CharacterTable): boolean {
  return skip(text, 0, characters) === text.length;
}
