// Somebody with raw sockets in a slot, and eyes everywhere else: which packets get anywhere?

import { compile, type NetworkPolicy } from "@sallyport/policy";
import { expect } from "vitest";
import type { SlotNetwork } from "../../src/network/contract.ts";
import type { Child } from "./child.ts";
import { frame, PROTOCOL, packet, udp } from "./packets.ts";
import { type Arrival, type Capture, type Injector, marksIn, newMark } from "./wire.ts";
import { FAR, type World } from "./world.ts";

export interface Attack {
  readonly name: string;
  /** Packets, each with the mark somewhere in it. */
  readonly packets: (mark: Buffer) => readonly Buffer[];
}

interface Place {
  readonly slot: SlotNetwork;
  readonly injector: Injector;
  /** Hardware addresses of the slot's own end and of the router's. */
  readonly own: string;
  readonly router: string;
}

/** Where a packet that is to be seen can be put on a wire. */
interface Signal {
  readonly injector: Injector;
  readonly link: string;
  /** The hardware address at the other end. */
  readonly to: string;
}

/** How attacks are made, and what counts as a success. */
export interface Attempt {
  /** Puts packets on a wire. Default: out of the attacker's slot. */
  readonly send?: (packets: readonly Buffer[]) => Promise<void>;
  /** Only what the router itself or a slot gets counts. */
  readonly inside?: boolean;
  /** Only what the attacker's own slot gets counts. */
  readonly own?: boolean;
}

interface Eyes {
  readonly host: Capture;
  readonly far: Capture;
  readonly router: Capture;
  readonly neighbour: Capture;
  /** In the attacker's own slot. */
  readonly own: Capture;
}

/** Two slots: the attacker's, and a neighbour's with policy `open`, whose packets tell when the attacker's are through. */
export class Attacker {
  readonly world: World;
  readonly worker: Child;
  readonly #place: Place;
  readonly #neighbour: Place;
  readonly #eyes: Eyes;
  readonly #signals: readonly Signal[];

  private constructor(
    world: World,
    worker: Child,
    places: readonly [Place, Place],
    eyes: Eyes,
    signals: readonly Signal[],
  ) {
    this.world = world;
    this.worker = worker;
    this.#place = places[0];
    this.#neighbour = places[1];
    this.#eyes = eyes;
    this.#signals = signals;
  }

  /** Starts the worker's network, and switches the router's own checks of sources off: the rules must hold alone. */
  static async start(world: World, overrides: object = {}): Promise<Attacker> {
    const worker = world.worker(overrides);
    await worker.call("start");
    const places: [Place, Place] = [await place(world, worker), await place(world, worker)];
    const eyes = {
      host: await world.capture(world.hostPath),
      far: await world.capture(world.farPath),
      router: await world.capture(world.routerPath),
      neighbour: await world.capture(places[1].slot.netnsPath),
      own: await world.capture(places[0].slot.netnsPath),
    };
    const links = (await world.inRouter("ls", "/proc/sys/net/ipv4/conf")).trim().split("\n");
    await world.inRouter("sysctl", "-q", "-w", ...links.map((link) => `net.ipv4.conf.${link}.rp_filter=0`));
    const inRouter = world.injector(world.routerPath);
    const signals = [
      ...places.map(({ slot, own }) => ({ injector: inRouter, link: `slot${slot.slot}`, to: own })),
      {
        injector: world.injector(world.hostPath),
        link: "ext0",
        to: await world.hardwareAddress(world.farPath, "ext0"),
      },
    ];
    const attacker = new Attacker(world, worker, places, eyes, signals);
    await attacker.setPolicy("open", [], attacker.neighbour);
    return attacker;
  }

  get slot(): SlotNetwork {
    return this.#place.slot;
  }

  get neighbour(): SlotNetwork {
    return this.#neighbour.slot;
  }

  async setPolicy(policy: NetworkPolicy, grants: readonly string[] = [], slot = this.slot): Promise<void> {
    await this.worker.call("applyPolicy", slot.slot, compile(policy, grants));
  }

  /** Ends the worker and takes the router's table away: what the rules alone have stopped gets through from now on. */
  async withoutRules(): Promise<void> {
    await this.worker.call("dispose");
    await this.world.inRouter("nft", "delete", "table", "inet", "sallyport");
  }

  /** Sends packets out of the attacker's slot. */
  async send(packets: readonly Buffer[]): Promise<void> {
    await sendFrom(this.#place, packets);
  }

  /** Sends frames of another kind than IP out of the attacker's slot. */
  async sendRaw(payloads: readonly Buffer[], ethertype: number, to = this.#place.router): Promise<void> {
    const { injector, slot, own } = this.#place;
    await injector.send(
      payloads.map((bytes) => ({ link: slot.interfaceName, frame: frame(to, own, bytes, ethertype) })),
    );
  }

  /** The hardware address of the attacker's own interface. */
  get hardwareAddress(): string {
    return this.#place.own;
  }

  /** Sends packets out of the neighbour's slot. */
  async sendFromNeighbour(packets: readonly Buffer[]): Promise<void> {
    await sendFrom(this.#neighbour, packets);
  }

  /** Resolves when all that was sent before has met the rules, and been seen where it arrived. */
  async through(): Promise<void> {
    const ends = { from: this.neighbour.ipv4, to: FAR.listed4 };
    const { host, router, far, neighbour, own } = this.#eyes;
    // Twice: see the capture's own order.
    for (let round = 0; round < 2; round++) {
      const mark = newMark();
      const bytes = packet(ends, PROTOCOL.udp, udp(ends, { sport: 4444, dport: 4444 }, mark));
      await this.sendFromNeighbour([bytes]);
      await seen([router, host], mark);
      for (const { injector, link, to } of this.#signals) await injector.send([{ link, frame: frame(to, to, bytes) }]);
      await seen([neighbour, own, far], mark);
    }
  }

  /** Everything that got through: out of the router, into the neighbour, or to the router's or the host's own ears. */
  #arrivals({ inside = false, own = false }: Attempt): readonly Arrival[] {
    const eyes = this.#eyes;
    if (own) return eyes.own.arrivals();
    const delivered = eyes.router.arrivals().filter(({ kind }) => kind === "local");
    const within = [...delivered, ...eyes.neighbour.arrivals()];
    return inside ? [...within, ...eyes.own.arrivals()] : [...within, ...eyes.host.arrivals(), ...eyes.far.arrivals()];
  }

  /** Names of the attacks of which anything got through. */
  async successes(attacks: readonly Attack[], attempt: Attempt = {}): Promise<string[]> {
    const marked = attacks.map(({ name, packets }) => ({ name, mark: newMark(), packets }));
    const send = attempt.send ?? ((packets) => this.send(packets));
    await send(marked.flatMap(({ packets, mark }) => packets(mark)));
    await this.through();
    const seen = this.marks(attempt);
    return marked.filter(({ mark }) => seen.has(mark.toString())).map(({ name }) => name);
  }

  /** Begins anew: what arrived so far is not looked at again. */
  forget(): void {
    for (const capture of Object.values(this.#eyes)) capture.forget();
  }

  /** All TCP segments to a port, of either family, that have left the router so far; without options or extensions. */
  segmentsTo(port: number): readonly Buffer[] {
    const packets = this.#eyes.host.arrivals().map(({ bytes }) => bytes.subarray(14));
    return packets.filter((bytes) => {
      const six = (bytes[0] ?? 0) >>> 4 === 6;
      return bytes[six ? 6 : 9] === PROTOCOL.tcp && bytes.readUInt16BE((six ? 40 : 20) + 2) === port;
    });
  }

  /** The marks of all that got through so far. */
  marks(attempt: Attempt = {}): Set<string> {
    return marksIn(this.#arrivals(attempt));
  }
}

async function seen(captures: readonly Capture[], mark: Buffer): Promise<void> {
  const all = (): boolean => captures.every((capture) => capture.saw(mark));
  await expect.poll(all, { timeout: 5000, interval: 5 }).toBe(true);
}

async function place(world: World, worker: Child): Promise<Place> {
  const slot = await worker.call<SlotNetwork>("acquireSlot");
  const own = await world.hardwareAddress(slot.netnsPath, slot.interfaceName);
  const router = await world.hardwareAddress(world.routerPath, `slot${slot.slot}`);
  return { slot, injector: world.injector(slot.netnsPath), own, router };
}

async function sendFrom({ slot, injector, own, router }: Place, packets: readonly Buffer[]): Promise<void> {
  await injector.send(packets.map((bytes) => ({ link: slot.interfaceName, frame: frame(router, own, bytes) })));
}
