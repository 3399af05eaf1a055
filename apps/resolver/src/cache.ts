// What the host's resolvers answered, for as long as they allow, and for each asker by itself: what one sandbox looks up
// tells another nothing, neither by how fast an answer comes nor by the time that is left of it.

import type { Clock } from "@sallyport/appkit/clock";
import type { DnsRecord } from "./message/records.ts";
import type { Response } from "./message/response.ts";

export interface CacheOptions {
  readonly clock: Clock;
  /** In all. */
  readonly maxBytes: number;
  /** Of one asker. */
  readonly maxBytesPerClient: number;
}

/** Longest that an answer is kept, whatever its records say. */
const MAX_SECONDS = 3_600;
/** Longest that "there is none" is kept. */
const MAX_NEGATIVE_SECONDS = 300;
/** An asker's answers go with it: its address rests for 60 s before it is another sandbox's. */
const IDLE_MS = 50_000;
/** What an entry costs beside its bytes, roughly. */
const ENTRY_BYTES = 400;
const RECORD_BYTES = 200;

interface Entry {
  readonly response: Response;
  readonly storedAtMs: number;
  readonly seconds: number;
  readonly bytes: number;
}

interface Shelf {
  readonly entries: Map<string, Entry>;
  bytes: number;
  usedAtMs: number;
}

export class Cache {
  readonly #options: CacheOptions;
  /** The one that was used last comes last; so in each shelf. */
  readonly #shelves = new Map<string, Shelf>();
  #bytes = 0;

  constructor(options: CacheOptions) {
    this.#options = options;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The answer with what is left of its times, or undefined. */
  get(client: string, key: string): Response | undefined {
    const now = this.#options.clock.monotonicMs();
    this.#dropIdle(now);
    const shelf = this.#shelves.get(client);
    if (shelf === undefined) return undefined;
    this.#touch(client, shelf, now);
    const entry = shelf.entries.get(key);
    if (entry === undefined) return undefined;
    const age = Math.floor((now - entry.storedAtMs) / 1000);
    this.#remove(shelf, key, entry);
    if (age >= entry.seconds) return undefined;
    this.#add(shelf, key, entry);
    return aged(entry.response, age);
  }

  /** Keeps an answer, unless it forbids that; the oldest make room. */
  set(client: string, key: string, response: Response): void {
    const now = this.#options.clock.monotonicMs();
    const seconds = secondsToKeep(response);
    const bytes = sizeOf(key, response);
    if (seconds === 0 || bytes > this.#options.maxBytesPerClient) return;
    const shelf = this.#shelves.get(client) ?? { entries: new Map<string, Entry>(), bytes: 0, usedAtMs: now };
    this.#touch(client, shelf, now);
    const before = shelf.entries.get(key);
    if (before !== undefined) this.#remove(shelf, key, before);
    this.#add(shelf, key, { response, storedAtMs: now, seconds, bytes });
    while (shelf.bytes > this.#options.maxBytesPerClient) this.#dropOldest(shelf);
    for (const [name, other] of this.#shelves) {
      while (this.#bytes > this.#options.maxBytes && other.entries.size > 0) this.#dropOldest(other);
      if (other.entries.size === 0) this.#shelves.delete(name);
      if (this.#bytes <= this.#options.maxBytes) break;
    }
  }

  #touch(client: string, shelf: Shelf, now: number): void {
    shelf.usedAtMs = now;
    this.#shelves.delete(client);
    this.#shelves.set(client, shelf);
  }

  #dropIdle(now: number): void {
    for (const [client, shelf] of this.#shelves) {
      if (now - shelf.usedAtMs < IDLE_MS) return;
      this.#bytes -= shelf.bytes;
      this.#shelves.delete(client);
    }
  }

  #dropOldest(shelf: Shelf): void {
    for (const [key, entry] of shelf.entries) {
      this.#remove(shelf, key, entry);
      return;
    }
  }

  #add(shelf: Shelf, key: string, entry: Entry): void {
    shelf.entries.set(key, entry);
    shelf.bytes += entry.bytes;
    this.#bytes += entry.bytes;
  }

  #remove(shelf: Shelf, key: string, entry: Entry): void {
    shelf.entries.delete(key);
    shelf.bytes -= entry.bytes;
    this.#bytes -= entry.bytes;
  }
}

/** The shortest time of its records. "There is none" lasts as RFC 2308 5 has it, and without a SOA not at all. */
function secondsToKeep(response: Response): number {
  const times = response.records.map((record) => record.ttl);
  if (response.negative) {
    const { authority } = response;
    times.push(MAX_NEGATIVE_SECONDS, authority === undefined ? 0 : Math.min(authority.ttl, minimumOf(authority)));
  }
  return Math.min(MAX_SECONDS, ...times);
}

/** The last field of a SOA. */
function minimumOf({ data }: DnsRecord): number {
  return Buffer.from(data).readUInt32BE(data.length - 4);
}

function sizeOf(key: string, { records, authority }: Response): number {
  const all = authority === undefined ? records : [...records, authority];
  return all.reduce(
    (sum, { owner, data }) => sum + owner.length + data.length + RECORD_BYTES,
    ENTRY_BYTES + key.length,
  );
}

function aged(response: Response, age: number): Response {
  const older = (record: DnsRecord): DnsRecord => ({ ...record, ttl: Math.max(0, record.ttl - age) });
  const { records, authority } = response;
  return {
    ...response,
    records: records.map(older),
    authority: authority === undefined ? undefined : older(authority),
  };
}
