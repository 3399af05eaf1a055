// The sleep of one running instance: who uses it is told by the gateway, what is wished by the api; the timers are here.
// Falling asleep: the gateway holds back what comes, the sandbox is frozen, that is written down and reported. Waking:
// the sandbox is thawed, the gateway lets go on what waits, that is written down and reported. Wherever a worker is
// killed in between, the next one reads the truth from the freezer.
import { isAppError } from "@sallyport/appkit/errors";
import type { Logger } from "@sallyport/appkit/logger";
import { Deadline } from "./deadline.ts";
import { openGate } from "./gate.ts";
import { Changes } from "./keep-up.ts";
import type { InstanceParts } from "./parts.ts";
import type { InstanceEvent, InstanceRecord } from "./record.ts";
import { planSleep, type SleepFacts, type SleepWish } from "./sleep-plan.ts";
import { nextSleepState, type SleepEvent, type SleepState } from "./sleep-state.ts";

export type SleepRecord = NonNullable<InstanceRecord["sleep"]>;

export interface SleeperOptions {
  readonly parts: {
    readonly runtime: Pick<InstanceParts["runtime"], "freeze" | "thaw" | "isFrozen">;
    readonly gateway: Pick<InstanceParts["gateway"], "suspend" | "resume">;
    readonly clock: InstanceParts["clock"];
  };
  readonly logger: Logger;
  /** The instance as it is. */
  readonly record: () => InstanceRecord;
  /** Writes down and reports. */
  readonly keep: (sleep: SleepRecord, event: Pick<InstanceEvent, "type" | "detail"> | undefined) => Promise<void>;
  /** Whether it may be ended for want of use. */
  readonly mayEnd: () => boolean;
  /** It is to be ended for want of use. */
  readonly onIdle: () => void;
}

/** Whether something uses it, and since when by the monotonic clock. */
interface Told {
  readonly busy: boolean;
  readonly sinceMs: number;
}

export class Sleeper {
  /** Announced when there may be something to do. */
  readonly changes: Changes = new Changes();
  readonly #options: SleeperOptions;
  readonly #alarm: Deadline;
  readonly #turn = openGate(1);
  #state: SleepState = "awake";
  #wish: SleepWish = { generation: 0, asleep: false };
  #told: Told | undefined;
  #wakeWanted = false;
  /** What was before it ran or woke does not count as want of use. */
  #awakeSinceMs = Number.NEGATIVE_INFINITY;
  #asleepIdleSinceMs: number | undefined;

  constructor(options: SleeperOptions) {
    this.#options = options;
    const { clock } = options.parts;
    this.#alarm = new Deadline({ now: () => clock.monotonicMs() }, () => this.changes.announce());
  }

  get asleep(): boolean {
    return this.#state === "asleep";
  }

  /** The command has just been started. */
  begin(): void {
    this.#awakeSinceMs = this.#now();
  }

  /** An earlier worker started it: it sleeps when it is frozen, whatever is written down. */
  async adopt(): Promise<void> {
    const { runtime } = this.#options.parts;
    const { containerId } = this.#options.record();
    const frozen = await runtime.isFrozen(containerId);
    if (frozen) await runtime.freeze(containerId); // it may have been on its way
    this.#state = frozen ? "asleep" : "awake";
    const sleep = this.#sleep();
    const { clock } = this.#options.parts;
    const forMs = sleep.idleSince === undefined ? 0 : Math.max(0, clock.now() - sleep.idleSince);
    if (frozen) this.#asleepIdleSinceMs = this.#now() - forMs;
    if (frozen !== sleep.asleep) await this.#keep(frozen ? "asleep" : "awake", {});
  }

  /** The gateway tells whether something uses it, and for how long it has been so. */
  told(busy: boolean, forMs: number): void {
    this.#told = { busy, sinceMs: this.#now() - forMs };
    this.changes.announce();
  }

  /** Somebody waits for it at the gateway. */
  wakeWanted(): void {
    this.#wakeWanted = true;
    this.changes.announce();
  }

  /** The api wishes it asleep or awake. */
  wished(wish: SleepWish): void {
    if (wish.generation <= this.#wish.generation) return;
    this.#wish = wish;
    this.changes.announce();
  }

  /** Does something between a sleep and a waking, never during one. */
  undisturbed<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.#turn.pass(task, signal);
  }

  /** Does what is to be done now, and sees to it that what is to be done later is. Throws what a step throws. */
  async step(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      const plan = planSleep(this.#facts(), this.#now());
      switch (plan.kind) {
        case "wait":
          if (plan.untilMs === undefined) this.#alarm.clear();
          else this.#alarm.set(plan.untilMs);
          return;
        case "sleep":
          await this.undisturbed(() => this.#fallAsleep(plan.by, signal), signal);
          break;
        case "wake":
          await this.undisturbed(() => this.#wake(plan.by, signal), signal);
          break;
        case "resume":
          await this.undisturbed(() => this.#resume(signal), signal);
          break;
        case "note":
          if (!this.asleep) this.#awakeSinceMs = this.#now(); // who wishes it awake is about to use it
          await this.#keep(undefined, {});
          break;
        case "end":
          await this.undisturbed(() => this.#end(signal), signal);
          if (!this.#inUse()) return;
          break;
      }
    }
  }

  /** The instance is no longer kept up. */
  stop(): void {
    this.#alarm.clear();
  }

  async #fallAsleep(by: "idle" | "hand", signal: AbortSignal): Promise<void> {
    const { runtime } = this.#options.parts;
    const { containerId } = this.#options.record();
    const idleSinceMs = this.#facts().idleSinceMs ?? this.#now();
    this.#advance("tired");
    try {
      if (!(await this.#suspend(by === "hand", signal))) {
        this.#advance("disturbed");
        return;
      }
      await runtime.freeze(containerId);
    } catch (error) {
      this.#advance("disturbed");
      signal.throwIfAborted();
      this.#wakeWanted = true; // the gateway may hold callers back
      if (by === "hand") throw error;
      this.#options.logger.error({ err: error }, "the sandbox could not be put to sleep; trying again later");
      this.#awakeSinceMs = this.#now();
      return;
    }
    this.#asleepIdleSinceMs = idleSinceMs;
    this.#advance("frozen");
    await this.#keep("asleep", { by });
  }

  async #wake(by: "use" | "hand", signal: AbortSignal): Promise<void> {
    const { runtime } = this.#options.parts;
    this.#advance("called");
    try {
      await runtime.thaw(this.#options.record().containerId);
    } catch (error) {
      this.#advance("failed");
      throw error;
    }
    this.#advance("thawed");
    this.#awakeSinceMs = this.#now();
    this.#asleepIdleSinceMs = undefined;
    try {
      await this.#resume(signal);
    } finally {
      await this.#keep("awake", { by });
    }
  }

  /** Ends it for want of use. Something may have come meanwhile: the gateway has the last word. */
  async #end(signal: AbortSignal): Promise<void> {
    if (this.asleep || (await this.#suspend(false, signal))) this.#options.onIdle();
  }

  /** False while something uses it, or when the gateway cannot be asked: it tells when that has changed. */
  async #suspend(force: boolean, signal: AbortSignal): Promise<boolean> {
    this.#wakeWanted = false; // of an earlier sleep
    try {
      await this.#options.parts.gateway.suspend(this.#options.record().instanceId, force, signal);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      const cannot = ["FailedPrecondition", "NotFound", "Unavailable"].some(
        (code) => isAppError(error) && error.code === code,
      );
      if (force || !cannot) throw error;
      this.#told = undefined;
      return false;
    }
  }

  /** One that the gateway does not know is attached anew, as what it is. */
  async #resume(signal: AbortSignal): Promise<void> {
    this.#wakeWanted = false;
    try {
      await this.#options.parts.gateway.resume(this.#options.record().instanceId, signal);
    } catch (error) {
      if (isAppError(error, "NotFound")) return;
      this.#wakeWanted = true;
      throw error;
    }
  }

  #facts(): SleepFacts {
    const spec = this.#options.record().spec;
    return {
      asleep: this.asleep,
      sleepAfterMs: spec?.sleepAfterMs,
      idleTimeoutMs: spec?.idleTimeoutMs,
      idleSinceMs: this.#idleSinceMs(),
      wish: this.#wish,
      followed: this.#sleep().generation,
      wakeWanted: this.#wakeWanted,
      mayEnd: this.#options.mayEnd(),
    };
  }

  #idleSinceMs(): number | undefined {
    if (this.asleep) return this.#asleepIdleSinceMs;
    if (this.#told === undefined || this.#told.busy) return undefined;
    return Math.max(this.#told.sinceMs, this.#awakeSinceMs);
  }

  #inUse(): boolean {
    return this.#idleSinceMs() === undefined;
  }

  #sleep(): SleepRecord {
    return this.#options.record().sleep ?? { asleep: false, generation: 0 };
  }

  async #keep(type: "asleep" | "awake" | undefined, detail: InstanceEvent["detail"]): Promise<void> {
    const { clock } = this.#options.parts;
    const { asleep } = this;
    const generation =
      this.#wish.asleep === asleep
        ? Math.max(this.#wish.generation, this.#sleep().generation)
        : this.#sleep().generation;
    const since = this.#asleepIdleSinceMs;
    const idleSince = asleep && since !== undefined ? Math.round(clock.now() - (this.#now() - since)) : undefined;
    await this.#options.keep({ asleep, generation, idleSince }, type === undefined ? undefined : { type, detail });
  }

  #advance(event: SleepEvent): void {
    this.#state = nextSleepState(this.#state, event);
  }

  #now(): number {
    return this.#options.parts.clock.monotonicMs();
  }
}
