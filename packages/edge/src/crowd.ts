// A bounded set of connections. When it is full, whoever comes takes the place of the oldest connection of the address that
// has most of them: one that holds all places loses them to everybody else, one by one, and keeps nobody out. Addresses of
// one network count together there: who has a network of IPv6 has more addresses than there are places.
import { networkOf } from "./address-group.ts";

/** One connection. */
export interface Member {
  /** Whose connections count together. */
  readonly group: string;
  /** Milliseconds of a clock that never goes back. */
  readonly sinceMs: number;
  /** Ends it. */
  readonly shed: () => void;
}

interface Network {
  size: number;
}

interface Group {
  readonly network: Network;
  /** The oldest first. */
  readonly members: Set<Member>;
  /** It has shown that it belongs here: it keeps its places. */
  isProven: boolean;
}

export interface CrowdOptions {
  readonly max: number;
  /** The most of one group; no bound of its own when unset. */
  readonly maxPerGroup?: number | undefined;
  /** A group that is not bounded, and makes no room. */
  readonly exempt?: string | undefined;
  /** A group that has most itself may still replace its own connections that are older, in milliseconds. Never when unset. */
  readonly ownAfterMs?: number | undefined;
}

export class Crowd {
  readonly #options: CrowdOptions;
  readonly #groups = new Map<string, Group>();
  readonly #networks = new Map<string, Network>();
  #size = 0;

  constructor(options: CrowdOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#size;
  }

  /** Whether this group has as many as it may have. */
  isFullFor(group: string): boolean {
    const { exempt, maxPerGroup } = this.#options;
    return group !== exempt && maxPerGroup !== undefined && (this.#groups.get(group)?.members.size ?? 0) >= maxPerGroup;
  }

  /** Takes a connection in, if need be for another one; false: there is no place for it. */
  admit(member: Member): boolean {
    if (this.isFullFor(member.group)) return false;
    if (this.#size >= this.#options.max && !this.#makeRoom(member)) return false;
    const group = this.#groups.get(member.group) ?? this.#newGroup(member.group);
    group.members.add(member);
    group.network.size += 1;
    this.#size += 1;
    return true;
  }

  /** Gives its place back; once, however often it is called. */
  leave(member: Member): void {
    const group = this.#groups.get(member.group);
    if (group?.members.delete(member) !== true) return;
    this.#size -= 1;
    group.network.size -= 1;
    if (group.members.size === 0) this.#groups.delete(member.group);
    if (group.network.size === 0) this.#networks.delete(networkOf(member.group));
  }

  /** What this group has, it keeps, as long as it has any. */
  prove(name: string): void {
    const group = this.#groups.get(name);
    if (group !== undefined) group.isProven = true;
  }

  #newGroup(name: string): Group {
    const network = this.#networks.get(networkOf(name)) ?? { size: 0 };
    const group: Group = { network, members: new Set(), isProven: false };
    this.#networks.set(networkOf(name), network);
    this.#groups.set(name, group);
    return group;
  }

  #makeRoom({ group: own, sinceMs }: Member): boolean {
    let most: Group | undefined;
    let name = "";
    for (const [one, group] of this.#groups) {
      const more = group.network.size - (most?.network.size ?? 0) || group.members.size - (most?.members.size ?? 0);
      // Of equals the one that was there first, but rather not the one that comes: it would replace its own.
      if (group.isProven || one === this.#options.exempt || (more <= 0 && !(more === 0 && name === own))) continue;
      [most, name] = [group, one];
    }
    const [oldest] = most?.members ?? [];
    if (oldest === undefined) return false;
    if (name === own && sinceMs - oldest.sinceMs < (this.#options.ownAfterMs ?? Number.POSITIVE_INFINITY)) return false;
    this.leave(oldest);
    oldest.shed();
    return true;
  }
}
