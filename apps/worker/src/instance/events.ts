// What happens to a running instance and does not end it: kept in its record, and told with each report, until the api
// has it.
import type { InstanceEvent, InstanceRecord } from "./record.ts";

/** An api that is away for long learns of the newest ones only; their numbers show the gap. */
const MAX_KEPT_EVENTS = 100;
/** Of those that a sandbox can bring about as it likes: they never drive out the others. */
const MAX_KEPT_DENIALS = 60;

/** The changes of a record by which events are told, under a report number of their own. */
export function withEvents(
  record: InstanceRecord,
  events: readonly Pick<InstanceEvent, "type" | "detail">[],
  now: number,
): Pick<InstanceRecord, "events" | "eventSeq" | "seq"> {
  const reportSeq = record.seq + 1;
  const first = (record.eventSeq ?? 0) + 1;
  const added = events.map((event, at) => ({ ...event, seq: first + at, at: now, reportSeq }));
  const all = [...(record.events ?? []), ...added];
  const denials = all.filter(({ type }) => type === "network_denied");
  const oldest = denials.at(-MAX_KEPT_DENIALS)?.seq ?? 0;
  const kept = all.filter(({ type, seq }) => type !== "network_denied" || seq >= oldest).slice(-MAX_KEPT_EVENTS);
  return { events: kept, eventSeq: first + events.length - 1, seq: reportSeq };
}

/** The changes of a record once a report is acknowledged; undefined when there are none. */
export function withoutTold(record: InstanceRecord, ackedSeq: number): Pick<InstanceRecord, "events"> | undefined {
  const events = record.events ?? [];
  const untold = events.filter((event) => event.reportSeq > ackedSeq);
  return untold.length === events.length ? undefined : { events: untold };
}
