// What the CLI prints. Text that a sandbox controls (names, commands, messages) may hold control characters that move
// the cursor, or marks that turn the reading direction: outside raw streams they are shown, not obeyed.
import type { Writable } from "node:stream";

/** C0, DEL and C1; bidirectional marks (Unicode TR 9); line and paragraph separators; lone surrogates; byte-order mark. */
const UNSAFE = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}\p{Cs}\ufeff]/gu;

/** A text on one line that shows every unsafe character as `\xNN` or `\uNNNN`. */
export function escapeText(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** {@link escapeText} that leaves line breaks and tabs, for messages of several lines. */
export function escapeLines(text: string): string {
  return text
    .split(/(\n|\t)/)
    .map((part) => (part === "\n" || part === "\t" ? part : escapeText(part)))
    .join("");
}

/** JSON on indented lines whose strings are safe to show, and mean the same. */
export function toJson(value: unknown): string {
  const text = JSON.stringify(value, undefined, 2);
  // What JSON itself leaves bare is only ever within strings; the line breaks of the indentation are outside.
  return text.replace(UNSAFE, (character) =>
    character === "\n" ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** JSON on one line whose strings are safe to show, and mean the same. */
export function toJsonLine(value: unknown): string {
  return JSON.stringify(value).replace(
    UNSAFE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const SHOWN_CHARACTERS = 40;

/** A long text cut to what a column of a table bears. */
export function shorten(text: string): string {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS - 1)}…` : text;
}

/** Rows in aligned columns under a head. Cells are escaped. */
export function toTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows.map((row) => row.map(escapeText))];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? "").length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** "5s", "3m", "2h", "4d": how long ago, or how long. */
export function toAge(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)}h` : `${Math.round(seconds / 86_400)}d`;
}

/** Writes, and waits while the reader is slower than the writer. */
export function write(stream: Writable, data: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(data, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}
