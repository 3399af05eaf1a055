// One instance's life, in one place: a loop that does one thing at a time. Wishes, ends and deadlines only leave word;
// the first reason to end wins, and the loop acts on it between two steps.
import { randomBytes } from "node:crypto";
import type { Logger } from "@sallyport/appkit/logger";
import { Backoff } from "@sallyport/appkit/retry";
import type { SlotNetwork } from "../network/index.ts";
import type { SandboxProcesses } from "../runtime/runtime.ts";
import { allDone } from "../system/all-done.ts";
import { claim } from "./claim.ts";
import { Deadline } from "./deadline.ts";
import { attach, type Door, throughDoor } from "./doors.ts";
import { Changes, keepUp } from "./keep-up.ts";
import { OomSamples } from "./oom-samples.ts";
import { type EndCause, judgeEnd } from "./outcome.ts";
import type { InstanceParts } from "./parts.ts";
import { prepare } from "./prepare.ts";
import type { InstanceRecord, InstanceSpec } from "./record.ts";
import { nextPhase, type PhaseEvent } from "./state.ts";
import { rollBack, stop } from "./stop.ts";
import { startTimeline, type Timeline } from "./timeline.ts";
import { untilAborted } from "./until-aborted.ts";

export interface InstanceOptions {
  readonly parts: InstanceParts;
  readonly record: InstanceRecord;
  /** Whether the record was written by an earlier worker. */
  readonly recovered: boolean;
  /** Aborted when the worker stops: the instance is left as it is. */
  readonly leave: AbortSignal;
}

export class Instance {
  readonly #parts: InstanceParts;
  readonly #logger: Logger;
  readonly #leave: AbortSignal;
  readonly #endWanted = new AbortController();
  /** Aborted when the present work is to be dropped, to end or to leave. */
  readonly #work: AbortSignal;
  readonly #samples = new OomSamples();
  readonly #lifetime: Deadline;
  readonly #changes = new Changes();
  #record: InstanceRecord;
  #recovered: boolean;
  #cause: EndCause | undefined;
  #isQuarantined = false;
  /** A recovered half-start goes on only when the api still wishes it. */
  #confirmed = Promise.withResolvers<void>();
  #slot: SlotNetwork | undefined;
  #newerNetwork: InstanceSpec["network"] | undefined;
  #doorsToOpen = false;

  constructor(options: InstanceOptions) {
    this.#parts = options.parts;
    this.#record = options.record;
    this.#recovered = options.recovered;
    this.#leave = options.leave;
    this.#work = AbortSignal.any([options.leave, this.#endWanted.signal]);
    this.#lifetime = new Deadline(options.parts.clock, () => this.wantEnd({ kind: "lifetimeOver" }));
    const { instanceId, sandboxId } = options.record;
    this.#logger = options.parts.logger.child({ instanceId, sandboxId });
  }

  get record(): InstanceRecord {
    return this.#record;
  }

  /** The api wishes it to run, under this policy. */
  wishRun(network: InstanceSpec["network"]): void {
    this.#confirmed.resolve();
    if (network.generation <= this.#record.networkGeneration) return;
    if (network.generation <= (this.#newerNetwork?.generation ?? this.#record.spec?.network.generation ?? 0)) return;
    this.#newerNetwork = network;
    this.#changes.announce();
  }

  /** The first cause counts; after the end there is none. */
  wantEnd(cause: EndCause): void {
    if (this.#cause !== undefined || this.#record.outcome !== undefined) return;
    this.#cause = cause;
    this.#logger.info({ cause: cause.kind }, "the instance is to end");
    this.#endWanted.abort(new Error(`the instance ends: ${cause.kind}`));
  }

  /** Set while the api does not know the instance: then only what it does itself ends it, not the worker. */
  quarantine(isUnknown: boolean): void {
    if (this.#isQuarantined === isUnknown) return;
    this.#isQuarantined = isUnknown;
    if (isUnknown) this.#logger.warn({ phase: this.#record.phase }, "the api does not know this instance: kept aside");
    this.#watchDeadline();
  }

  /** The gateway is there, for the first time or again. */
  gatewayConnected(): void {
    this.#doorsToOpen = true;
    this.#changes.announce();
  }

  /** Called every few seconds. */
  async sample(): Promise<void> {
    if (this.#record.phase !== "running") return;
    this.#samples.add((await this.#parts.runtime.counters(this.#record.instanceId)).oomKills);
  }

  /** The api has the end. */
  async acked(seq: number): Promise<void> {
    if (this.#record.phase !== "ended" || seq < this.#record.seq || this.#record.ackedAt !== undefined) return;
    this.#record = { ...this.#record, ackedAt: this.#parts.clock.now() };
    await this.#parts.store.save(this.#record);
  }

  /** Lives the rest of the life. Resolves when the instance has ended, or the worker leaves. Never rejects. */
  async run(): Promise<void> {
    try {
      await this.#live();
    } catch (error) {
      if (!this.#leave.aborted) this.wantEnd({ kind: "startFailed", error });
      if (this.#cause?.kind === "startFailed") this.#logger.warn({ err: error }, "the instance could not be started");
    }
    this.#lifetime.clear();
    const backoff = new Backoff({ firstMs: 100, maxMs: 5_000, clock: this.#parts.clock });
    while (this.#record.phase !== "ended" && !this.#leave.aborted) {
      try {
        await this.#end();
      } catch (error) {
        if (this.#leave.aborted) return;
        this.#logger.error({ err: error }, "something of the instance is left; trying again");
        await backoff.pause(this.#leave).catch(() => undefined); // the loop's condition sees the abort
      }
    }
  }

  async #live(): Promise<void> {
    if (this.#record.phase === "stopping" || this.#record.phase === "ended") return;
    if (this.#recovered) await this.#recoverPatiently();
    else await this.#parts.store.save(this.#record);
    this.#report();
    const timeline = startTimeline(() => this.#parts.clock.monotonicMs());
    if (this.#record.phase === "preparing" || this.#record.phase === "claiming") {
      await this.#parts.startGate.pass(() => this.#start(timeline), this.#work);
      this.#logger.info(timeline.summary(), "the instance runs");
    }
    this.#watchDeadline();
    await this.#stayRunning();
  }

  async #start(timeline: Timeline): Promise<void> {
    timeline.mark("wait");
    const { instanceId, sandboxId, generation } = this.#record;
    const spec = this.#spec();
    const signal = this.#work;
    if (this.#record.phase === "preparing") {
      const initSecret = randomBytes(32).toString("hex");
      await prepare(this.#parts, {
        instanceId,
        sandboxId,
        generation,
        initSecret,
        size: spec,
        signal,
        timeline,
        onSlot: async (slot) => {
          this.#slot = slot;
          await this.#keep({ slot: slot.slot, initSecret });
        },
        onCreated: (processes) => this.#watchContainer(processes),
      });
      // From here on the command may run, though nobody may live to write it down: its time is counted.
      await this.#advance("prepared", { lifetimeEndsAt: this.#parts.clock.now() + spec.lifetimeMs });
    }
    const network = this.#newerNetwork ?? spec.network;
    const door = this.#door();
    await claim(this.#parts, { door, slot: this.#ownSlot().slot, spec: { ...spec, network }, signal, timeline });
    await this.#advance("claimed", {
      spec: { ...spec, network },
      networkGeneration: network.generation,
      lifetimeEndsAt: this.#parts.clock.now() + spec.lifetimeMs,
    });
    timeline.mark("record");
  }

  /** A failure to look at what runs ends nothing. */
  async #recoverPatiently(): Promise<void> {
    const backoff = new Backoff({ firstMs: 200, maxMs: 5_000, clock: this.#parts.clock });
    while (this.#recovered) {
      try {
        await this.#recover();
      } catch (error) {
        this.#work.throwIfAborted();
        this.#logger.error({ err: error }, "the instance could not be taken over; trying again");
        await backoff.pause(this.#work);
      }
    }
  }

  /** What an earlier worker left: what runs is adopted, what was half made is thrown away and made again. */
  async #recover(): Promise<void> {
    const { runtime, network, bootId } = this.#parts;
    const { instanceId, phase, slot } = this.#record;
    if (this.#record.bootId !== bootId) {
      this.wantEnd({ kind: "rebooted" });
      this.#work.throwIfAborted();
    }
    this.#report();
    if (phase === "preparing") {
      await rollBack(this.#parts, {
        instanceId,
        slot,
        thorough: true,
        onSlotReleased: () => this.#keep({ slot: undefined }),
      });
      await this.#advance("rolledBack", { initSecret: undefined });
    } else {
      const [processes, kept] = await Promise.all([
        runtime.find(instanceId),
        slot === undefined ? undefined : network.adoptSlot(slot),
      ]);
      if (processes === undefined || kept === undefined) this.wantEnd({ kind: "gone", exitCode: undefined });
      else {
        this.#slot = kept;
        this.#watchContainer(processes);
        this.#doorsToOpen = true;
        this.#logger.info({ phase }, "adopted a running sandbox");
      }
      this.#work.throwIfAborted();
    }
    this.#watchDeadline();
    if (phase !== "running") await untilAborted(this.#confirmed.promise, this.#work);
    this.#recovered = false;
  }

  /** A policy never waits for a gateway, nor a door for the kernel. Ends by being aborted. */
  async #stayRunning(): Promise<void> {
    const options = {
      changes: this.#changes,
      clock: this.#parts.clock,
      signal: this.#work,
      onFailure: (error: unknown) =>
        this.#logger.warn({ err: error }, "a running instance could not be brought up to date; trying again"),
    };
    await allDone([keepUp(() => this.#applyNewerNetwork(), options), keepUp(() => this.#openDoors(), options)]);
  }

  async #applyNewerNetwork(): Promise<void> {
    const network = this.#newerNetwork;
    if (network === undefined || network.generation <= this.#record.networkGeneration) return;
    await this.#parts.network.applyPolicy(this.#ownSlot(), network.rules);
    await this.#keep({
      spec: { ...this.#spec(), network },
      networkGeneration: network.generation,
      seq: this.#record.seq + 1,
    });
    this.#report();
  }

  async #openDoors(): Promise<void> {
    if (!this.#doorsToOpen) return;
    this.#doorsToOpen = false;
    const { instanceId } = this.#record;
    const { env, workdir } = this.#spec();
    const door = this.#door();
    try {
      await attach(this.#parts, door, this.#work);
      const open = () => this.#parts.gateway.open(instanceId, { env, workdir }, this.#work);
      await throughDoor(this.#parts, door, this.#work, open);
    } catch (error) {
      this.#doorsToOpen = true;
      throw error;
    }
  }

  /** Decides the outcome, once, and takes everything away. */
  async #end(): Promise<void> {
    const parts = this.#parts;
    const { instanceId } = this.#record;
    if (this.#record.phase !== "stopping") {
      const counters = await parts.runtime.counters(instanceId);
      const evidence = {
        pidsRefusals: counters.pidsRefusals,
        recentOomKills: this.#samples.recent(counters.oomKills),
      };
      const cause = this.#cause ?? { kind: "gone", exitCode: undefined };
      await this.#advance("endWanted", { outcome: judgeEnd(cause, evidence) });
    } else await this.#keep({});
    this.#report();
    const startedAt = parts.clock.monotonicMs();
    await parts.stopGate.pass(
      () =>
        stop(parts, {
          instanceId,
          slot: this.#record.slot,
          thorough: this.#recovered,
          onSlotReleased: () => this.#keep({ slot: undefined }),
        }),
      this.#leave,
    );
    // The tenant's environment and the secret have no use any more.
    await this.#advance("cleaned", { spec: undefined, initSecret: undefined });
    this.#report();
    const ms = Math.round(parts.clock.monotonicMs() - startedAt);
    this.#logger.info({ reason: this.#record.outcome?.reason, ms }, "the instance has ended");
  }

  #watchContainer(processes: SandboxProcesses): void {
    this.#parts.runtime.waitEnd(this.#record.instanceId, processes, this.#work).then(
      ({ exitCode }) => this.wantEnd({ kind: "gone", exitCode }),
      (error: unknown) => {
        if (!this.#work.aborted) this.#logger.error({ err: error }, "the sandbox cannot be watched");
      },
    );
  }

  #watchDeadline(): void {
    const endsAt = this.#record.lifetimeEndsAt;
    if (endsAt === undefined || this.#isQuarantined || this.#work.aborted) this.#lifetime.clear();
    else this.#lifetime.set(endsAt);
  }

  #spec(): InstanceSpec {
    const { spec } = this.#record;
    if (spec === undefined) throw new TypeError("an instance that ended has no specification");
    return spec;
  }

  #ownSlot(): SlotNetwork {
    if (this.#slot === undefined) throw new TypeError("the instance has no slot");
    return this.#slot;
  }

  #door(): Door {
    const { instanceId, sandboxId, generation, initSecret } = this.#record;
    if (initSecret === undefined) throw new TypeError("the instance has no secret");
    return { instanceId, sandboxId, generation, initSecret, slot: this.#ownSlot() };
  }

  /** A step of the state machine: written down, then in force. */
  async #advance(event: PhaseEvent, changes: Partial<InstanceRecord> = {}): Promise<void> {
    const phase = nextPhase(this.#record.phase, event);
    await this.#keep({ ...changes, phase, seq: this.#record.seq + 1, at: this.#parts.clock.now() });
    if (phase === "running") this.#report();
  }

  async #keep(changes: Partial<InstanceRecord>): Promise<void> {
    this.#record = { ...this.#record, ...changes };
    await this.#parts.store.save(this.#record);
  }

  #report(): void {
    this.#parts.report(this.#record);
  }
}
