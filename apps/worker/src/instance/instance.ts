// One instance's life, in one place: a loop that does one thing at a time. Wishes, ends and deadlines only leave word;
// the first reason to end wins, and the loop acts on it between two steps.
import { randomBytes } from "node:crypto";
import type { Logger } from "@sallyport/appkit/logger";
import { Backoff } from "@sallyport/appkit/retry";
import type { SlotNetwork } from "../network/index.ts";
import { newContainerId } from "../runtime/container-id.ts";
import type { SandboxProcesses } from "../runtime/runtime.ts";
import { allDone } from "../system/all-done.ts";
import { claim } from "./claim.ts";
import { Deadline } from "./deadline.ts";
import { attach, type Door, throughDoor } from "./doors.ts";
import { Changes, keepUp } from "./keep-up.ts";
import { Limits } from "./limits.ts";
import { type EndCause, judgeEnd } from "./outcome.ts";
import type { InstanceParts } from "./parts.ts";
import type { WarmSandbox } from "./pool.ts";
import { prepare } from "./prepare.ts";
import type { InstanceEvent, InstanceRecord, InstanceSpec } from "./record.ts";
import { RecordBook } from "./record-book.ts";
import { Sleeper } from "./sleeper.ts";
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
  /** Who uses it, and whether it sleeps. */
  readonly sleeper: Sleeper;
  readonly #parts: InstanceParts;
  readonly #logger: Logger;
  readonly #leave: AbortSignal;
  readonly #endWanted = new AbortController();
  /** Aborted when the present work is to be dropped, to end or to leave. */
  readonly #work: AbortSignal;
  readonly #limits: Limits;
  readonly #lifetime: Deadline;
  readonly #changes = new Changes();
  readonly #book: RecordBook;
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
    this.#book = new RecordBook(options.parts, options.record);
    this.#recovered = options.recovered;
    this.#limits = new Limits(options.parts.runtime, !options.recovered);
    this.#leave = options.leave;
    this.#work = AbortSignal.any([options.leave, this.#endWanted.signal]);
    this.#lifetime = new Deadline(options.parts.clock, () => this.wantEnd({ kind: "lifetimeOver" }));
    const { instanceId, sandboxId } = options.record;
    this.#logger = options.parts.logger.child({ instanceId, sandboxId });
    this.sleeper = new Sleeper({
      parts: options.parts,
      logger: this.#logger,
      record: () => this.record,
      keep: (sleep, event) => this.#book.tell(event === undefined ? [] : [event], { sleep }),
      mayEnd: () => !this.#isQuarantined,
      onIdle: () => this.wantEnd({ kind: "idle" }),
    });
  }

  get record(): InstanceRecord {
    return this.#book.record;
  }

  /** The api wishes it to run, under this policy; unset: it says nothing of it. */
  wishRun(network: InstanceSpec["network"] | undefined): void {
    this.#confirmed.resolve();
    if (network === undefined) return;
    if (network.generation <= this.record.networkGeneration) return;
    if (network.generation <= (this.#newerNetwork?.generation ?? this.record.spec?.network.generation ?? 0)) return;
    this.#newerNetwork = network;
    this.#changes.announce();
  }

  /** The first cause counts; after the end there is none. */
  wantEnd(cause: EndCause): void {
    if (this.#cause !== undefined || this.record.outcome !== undefined) return;
    this.#cause = cause;
    this.#logger.info({ cause: cause.kind }, "the instance is to end");
    this.#endWanted.abort(new Error(`the instance ends: ${cause.kind}`));
  }

  /** Set while the api does not know the instance: then only what it does itself ends it, not the worker. */
  quarantine(isUnknown: boolean): void {
    if (this.#isQuarantined === isUnknown) return;
    this.#isQuarantined = isUnknown;
    if (isUnknown) this.#logger.warn({ phase: this.record.phase }, "the api does not know this instance: kept aside");
    this.#watchDeadline();
    this.sleeper.changes.announce();
  }

  /** The gateway is there, for the first time or again. */
  gatewayConnected(): void {
    this.#doorsToOpen = true;
    this.#changes.announce();
  }

  /** Called every few seconds. */
  async sample(): Promise<void> {
    const { phase, containerId, spec } = this.record;
    if (phase !== "running" || spec === undefined || this.sleeper.asleep) return;
    await this.tell(await this.#limits.sample(containerId, spec));
  }

  /** Something happened that the api is to know, and that ends nothing. */
  async tell(events: readonly Pick<InstanceEvent, "type" | "detail">[]): Promise<void> {
    if (events.length > 0) await this.#book.tell(events);
  }

  /** The api has a report: what it told is not told again. */
  async acked(seq: number): Promise<void> {
    await this.#book.acked(seq);
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
    this.sleeper.stop();
    const backoff = new Backoff({ firstMs: 100, maxMs: 5_000, clock: this.#parts.clock });
    while (this.record.phase !== "ended" && !this.#leave.aborted) {
      try {
        await this.#end();
      } catch (error) {
        if (this.#leave.aborted) return;
        this.#logger.error({ err: error }, "something of the instance is left; trying again");
        await backoff.pauseOrAbort(this.#leave);
      }
    }
  }

  async #live(): Promise<void> {
    if (this.record.phase === "stopping" || this.record.phase === "ended") return;
    if (this.#recovered) await this.#recoverPatiently();
    else await this.#book.keep({});
    this.#book.report();
    const timeline = startTimeline(() => this.#parts.clock.monotonicMs());
    if (this.record.phase === "preparing" || this.record.phase === "claiming") {
      const warm = this.record.phase === "preparing" ? this.#parts.warm.take(this.#spec()) : undefined;
      // What is made already needs no turn.
      const isWarm = warm !== undefined && (await this.#takeWarm(warm, timeline));
      if (isWarm) await this.#claim(timeline, false);
      else await this.#parts.startGate.pass(() => this.#start(timeline), this.#work);
      this.#logger.info(timeline.summary(), "the instance runs");
    }
    this.#watchDeadline();
    await this.#stayRunning();
  }

  async #start(timeline: Timeline): Promise<void> {
    timeline.mark("wait");
    // In a phase beyond, an earlier worker prepared it: whether a gateway knows it is open.
    const isFresh = this.record.phase === "preparing";
    if (isFresh) await this.#prepare(timeline);
    await this.#claim(timeline, isFresh);
  }

  async #prepare(timeline: Timeline): Promise<void> {
    const { instanceId, containerId, sandboxId, generation } = this.record;
    const initSecret = randomBytes(32).toString("hex");
    await prepare(this.#parts, {
      instanceId,
      containerId,
      sandboxId,
      generation,
      initSecret,
      size: this.#spec(),
      signal: this.#work,
      timeline,
      onSlot: async (slot) => {
        this.#slot = slot;
        await this.#book.keep({ slot: slot.slot, initSecret });
      },
      onCreated: (processes) => this.#watchContainer(processes),
    });
    await this.#prepared();
  }

  /** Makes a sandbox that was made ahead this instance's own. False when it failed: nothing is left of it then. */
  async #takeWarm(sandbox: () => Promise<WarmSandbox | undefined>, timeline: Timeline): Promise<boolean> {
    const warm = await sandbox();
    if (warm === undefined) return false;
    const { containerId, initSecret, slot, processes } = warm;
    this.#slot = slot;
    // Written down whatever has been wished meanwhile: from here on it is this record that takes it away.
    await this.#prepared({ containerId, initSecret, slot: slot.slot });
    this.#watchContainer(processes);
    timeline.mark("warm");
    return true;
  }

  /** From here on the command may run, though nobody may live to write it down: its time is counted. */
  #prepared(changes: Partial<InstanceRecord> = {}): Promise<void> {
    const lifetimeEndsAt = this.#parts.clock.now() + this.#spec().lifetimeMs;
    return this.#book.advance("prepared", { ...changes, lifetimeEndsAt });
  }

  async #claim(timeline: Timeline, attached: boolean): Promise<void> {
    this.#work.throwIfAborted();
    const spec = this.#spec();
    const network = await claim(this.#parts, {
      door: this.#door(),
      containerId: this.record.containerId,
      slot: this.#ownSlot().slot,
      spec,
      newestNetwork: () => this.#newerNetwork ?? spec.network,
      attached,
      signal: this.#work,
      timeline,
    });
    await this.#book.advance("claimed", {
      spec: { ...spec, network },
      networkGeneration: network.generation,
      lifetimeEndsAt: this.#parts.clock.now() + spec.lifetimeMs,
    });
    this.sleeper.begin();
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
    const { instanceId, containerId, phase, slot } = this.record;
    if (this.record.bootId !== bootId) {
      this.wantEnd({ kind: "rebooted" });
      this.#work.throwIfAborted();
    }
    this.#book.report();
    if (phase === "preparing") {
      await rollBack(this.#parts, {
        instanceId,
        containerId,
        slot,
        thorough: true,
        onSlotReleased: () => this.#book.keep({ slot: undefined }),
      });
      await this.#book.advance("rolledBack", { containerId: newContainerId(), initSecret: undefined });
    } else {
      const [processes, kept] = await Promise.all([
        runtime.find(containerId),
        slot === undefined ? undefined : network.adoptSlot(slot),
      ]);
      if (processes === undefined || kept === undefined) this.wantEnd({ kind: "gone", exitCode: undefined });
      else {
        this.#slot = kept;
        this.#watchContainer(processes);
        if (phase === "running") await this.sleeper.adopt();
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
    await allDone([
      keepUp(() => this.#applyNewerNetwork(), options),
      keepUp(() => this.sleeper.undisturbed(() => this.#openDoors(), this.#work), options),
      keepUp(() => this.sleeper.step(this.#work), { ...options, changes: this.sleeper.changes }),
    ]);
  }

  async #applyNewerNetwork(): Promise<void> {
    const network = this.#newerNetwork;
    if (network === undefined || network.generation <= this.record.networkGeneration) return;
    await this.#parts.network.applyPolicy(this.#ownSlot(), network.rules);
    await this.#book.tell([], { spec: { ...this.#spec(), network }, networkGeneration: network.generation });
  }

  async #openDoors(): Promise<void> {
    if (!this.#doorsToOpen) return;
    this.#doorsToOpen = false;
    const { instanceId } = this.record;
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
    const { instanceId, containerId } = this.record;
    if (this.record.phase !== "stopping") {
      const evidence = await this.#limits.evidence(containerId);
      const cause = this.#cause ?? { kind: "gone", exitCode: undefined };
      await this.#book.advance("endWanted", { outcome: judgeEnd(cause, evidence) });
    } else await this.#book.keep({});
    this.#book.report();
    const startedAt = parts.clock.monotonicMs();
    await parts.stopGate.pass(
      () =>
        stop(parts, {
          instanceId,
          containerId,
          slot: this.record.slot,
          thorough: this.#recovered,
          onSlotReleased: () => this.#book.keep({ slot: undefined }),
        }),
      this.#leave,
    );
    // The tenant's environment and the secret have no use any more.
    await this.#book.advance("cleaned", { spec: undefined, initSecret: undefined });
    this.#book.report();
    const ms = Math.round(parts.clock.monotonicMs() - startedAt);
    this.#logger.info({ reason: this.record.outcome?.reason, ms }, "the instance has ended");
  }

  #watchContainer(processes: SandboxProcesses): void {
    this.#parts.runtime.waitEnd(this.record.containerId, processes, this.#work).then(
      ({ exitCode }) => this.wantEnd({ kind: "gone", exitCode }),
      (error: unknown) => {
        if (!this.#work.aborted) this.#logger.error({ err: error }, "the sandbox cannot be watched");
      },
    );
  }

  #watchDeadline(): void {
    const endsAt = this.record.lifetimeEndsAt;
    if (endsAt === undefined || this.#isQuarantined || this.#work.aborted) this.#lifetime.clear();
    else this.#lifetime.set(endsAt);
  }

  #spec(): InstanceSpec {
    const { spec } = this.record;
    if (spec === undefined) throw new TypeError("an instance that ended has no specification");
    return spec;
  }

  #ownSlot(): SlotNetwork {
    if (this.#slot === undefined) throw new TypeError("the instance has no slot");
    return this.#slot;
  }

  #door(): Door {
    const { instanceId, sandboxId, generation, initSecret } = this.record;
    if (initSecret === undefined) throw new TypeError("the instance has no secret");
    return { instanceId, sandboxId, generation, initSecret, slot: this.#ownSlot(), asleep: this.sleeper.asleep };
  }
}
