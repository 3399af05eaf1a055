// One instance's record and the ways in which it changes: written down, then in force, then told to the api.
import { withEvents, withoutTold } from "./events.ts";
import type { InstanceParts } from "./parts.ts";
import type { InstanceEvent, InstanceRecord } from "./record.ts";
import { nextPhase, type PhaseEvent } from "./state.ts";

export class RecordBook {
  readonly #parts: Pick<InstanceParts, "store" | "clock" | "report">;
  #record: InstanceRecord;

  constructor(parts: Pick<InstanceParts, "store" | "clock" | "report">, record: InstanceRecord) {
    this.#parts = parts;
    this.#record = record;
  }

  get record(): InstanceRecord {
    return this.#record;
  }

  /** Writes down what has changed, or all of it for the first time. */
  async keep(changes: Partial<InstanceRecord>): Promise<void> {
    this.#record = { ...this.#record, ...changes };
    await this.#parts.store.save(this.#record);
  }

  /** A step of the state machine: written down, then in force. */
  async advance(event: PhaseEvent, changes: Partial<InstanceRecord> = {}): Promise<void> {
    const phase = nextPhase(this.#record.phase, event);
    await this.keep({ ...changes, phase, seq: this.#record.seq + 1, at: this.#parts.clock.now() });
    if (phase === "running") this.report();
  }

  /** Writes down and reports, with what happened where there is such a thing. */
  async tell(
    events: readonly Pick<InstanceEvent, "type" | "detail">[],
    changes: Partial<InstanceRecord> = {},
  ): Promise<void> {
    if (this.#record.phase === "ended") return;
    const told = events.length === 0 ? { seq: this.#record.seq + 1 } : this.#withEvents(events);
    await this.keep({ ...changes, ...told });
    this.report();
  }

  #withEvents(events: readonly Pick<InstanceEvent, "type" | "detail">[]): ReturnType<typeof withEvents> {
    return withEvents(this.#record, events, this.#parts.clock.now());
  }

  /** The api has a report: what it told is not told again. */
  async acked(seq: number): Promise<void> {
    const told = withoutTold(this.#record, seq);
    if (told !== undefined) await this.keep(told);
    if (this.#record.phase !== "ended" || seq < this.#record.seq || this.#record.ackedAt !== undefined) return;
    await this.keep({ ackedAt: this.#parts.clock.now() });
  }

  /** Tells the api how it stands. */
  report(): void {
    this.#parts.report(this.#record);
  }
}
