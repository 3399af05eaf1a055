// The field lines of a request's head, read by themselves: what a client says in them stays the same from request to request
// while method and target change.
import type { RawHeader } from "@sallyport/connect-token/verify";
import type { HeadNotes } from "../exchange.ts";
import { connectionOptions, endToEnd } from "./connection-options.ts";
import { kindOf } from "./field-names.ts";
import type { FieldProblem } from "./fields.ts";
import { scanFields } from "./fields.ts";
import { FramingFields } from "./framing.ts";

/** What field lines say, whatever request line stands before them. */
export interface FieldBlock {
  readonly headers: readonly RawHeader[];
  /** Empty where `options` are undefined: such a head is refused. */
  readonly endToEnd: readonly RawHeader[];
  readonly framing: FramingFields;
  /** Connection options in lower case; undefined: one is no token. */
  readonly options: ReadonlySet<string> | undefined;
  readonly hosts: readonly string[];
  readonly expectations: readonly string[];
  readonly upgrades: readonly string[];
  readonly keys: readonly string[];
  readonly versions: readonly string[];
  readonly notes: HeadNotes;
}

/** Reads the lines between `from` and the empty line that a head ends with. */
export function readFieldBlock(head: string, from: number, maxHeaders: number): FieldBlock | FieldProblem {
  const headers = scanFields(head, from, head.length - 2, maxHeaders);
  if (typeof headers === "string") return headers;
  const fields = sort(headers);
  const options = connectionOptions(fields.connections);
  return {
    headers,
    endToEnd: options === undefined ? [] : endToEnd(headers, options),
    framing: fields.framing,
    options,
    hosts: fields.hosts,
    expectations: fields.expectations,
    upgrades: fields.upgrades,
    keys: fields.keys,
    versions: fields.versions,
    notes: { carried: undefined },
  };
}

/** Longer ones are read each time. */
const MAX_CHARACTERS = 4_096;
/** How many of those that were asked for last are remembered, at least; at most twice as many. */
const MIN_REMEMBERED = 512;
/** Of those that came once: one that comes again within about so many others is remembered. */
const MARKS = 4_096;

/**
 * Remembers field blocks by their exact characters. A block is a function of them alone, so whoever sends the same ones
 * gets the same one, and nobody learns from it what another has sent.
 */
export class FieldBlocks {
  #young = new Map<string, FieldBlock>();
  #old: ReadonlyMap<string, FieldBlock> = new Map();
  /** What came once leaves no more than a mark: heads that never come again would push out those that do. */
  readonly #marks = new Int32Array(MARKS);

  /** As {@link readFieldBlock} does. */
  read(head: string, from: number, maxHeaders: number): FieldBlock | FieldProblem {
    if (head.length - from > MAX_CHARACTERS) return readFieldBlock(head, from, maxHeaders);
    const text = head.slice(from);
    const young = this.#young.get(text);
    if (young !== undefined) return young;
    const old = this.#old.get(text);
    const block = old ?? readFieldBlock(head, from, maxHeaders);
    if (typeof block !== "string" && (old !== undefined || this.#cameBefore(text))) this.#remember(text, block);
    return block;
  }

  #remember(text: string, block: FieldBlock): void {
    if (this.#young.size >= MIN_REMEMBERED) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(text, block);
  }

  /** Perhaps: a few characters stand for all of them. */
  #cameBefore(text: string): boolean {
    let mark = text.length;
    const step = Math.max(1, text.length >> 5);
    for (let at = 0; at < text.length; at += step) mark = (Math.imul(mark, 31) + text.charCodeAt(at)) | 0;
    const at = (mark ^ (mark >>> 16)) & (MARKS - 1);
    if (this.#marks[at] === mark) return true;
    this.#marks[at] = mark;
    return false;
  }
}

/** The fields that mean something to a proxy. */
function sort(headers: readonly RawHeader[]) {
  const fields = {
    framing: new FramingFields(),
    hosts: NO_VALUES,
    connections: NO_VALUES,
    expectations: NO_VALUES,
    upgrades: NO_VALUES,
    keys: NO_VALUES,
    versions: NO_VALUES,
  };
  for (const [name, value] of headers) {
    switch (kindOf(name)) {
      case "host":
        fields.hosts = [...fields.hosts, value];
        break;
      case "content-length":
        fields.framing.addLength(value);
        break;
      case "transfer-encoding":
        fields.framing.addCoding(value);
        break;
      case "disguised-framing":
        fields.framing.addDisguised();
        break;
      case "connection":
        fields.connections = [...fields.connections, value];
        break;
      case "expect":
        fields.expectations = [...fields.expectations, value];
        break;
      case "upgrade":
        fields.upgrades = [...fields.upgrades, value];
        break;
      case "sec-websocket-key":
        fields.keys = [...fields.keys, value];
        break;
      case "sec-websocket-version":
        fields.versions = [...fields.versions, value];
        break;
      case "hop":
      case "keep-alive":
      case "sec-websocket-accept":
      case undefined:
        break;
    }
  }
  return fields;
}

/** Most heads have none of most; of those that mean something there are too few to mind lists that are made anew. */
const NO_VALUES: readonly string[] = [];
