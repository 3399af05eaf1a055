// What happens to a running instance and does not end it: kept in its record, and told with each report, until the api
// has it.
import type { InstanceEvent, InstanceRecord } from "./record.ts";

/** An api that is away for long learns of the newest ones only; their numbers show the gap. */
const MAX_KEPT_EVENTS = 100;

/** The changes of a record by which an event is told, under a report number of its own. */
export function withEvent(
  record: InstanceRecord,
  event: Pick<InstanceEvent, "type" | "detail">,
  now: number,
): Pick<InstanceRecord, "events" | "eventSeq" | "seq"> {
  const eventSeq = (record.eventSeq ?? 0) + 1;
  const reportSeq = record.seq + 1;
  const kept = (record.events ?? []).slice(1 - MAX_KEPT_EVENTS);
  return { events: [...kept, { ...event, seq: eventSeq, at: now, reportSeq }], eventSeq, seq: reportSeq };
}

/** The changes of a record once a report is acknowledged; undefined when there are none. */
export function withoutTold(record: InstanceRecord, ackedSeq: number): Pick<InstanceRecord, "events"> | undefined {
  const events = record.events ?? [];
  const untold = events.filter((event) => event.reportSeq > ackedSeq);
  return untold.length === events.length ? undefined : { events: untold };
}
