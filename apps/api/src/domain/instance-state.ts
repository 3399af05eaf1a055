// Where an instance is, and what its sandbox shows for it. Pure: the store keeps it, services act on it.
//
//   observed (the worker's reports move it)           unseen ─► starting ─► running ─► stopping ─► ended
//     unseen    committed, not reported on yet           └────────┴───────────┴───────────┴──────────▲
//     starting  being prepared or claimed              any report that is newer (seq) may move it to any
//     running   its command, if any, was started       state: the worker knows best. Only ended is final.
//     stopping  being taken down
//     ended     gone, with an outcome; or given up with its worker ("lost"), which then owes its end: should the
//               worker come back, it is told to stop it, and its report of the end settles the debt
//
//   wish (only the api writes it)                     run ─► stop, and never back
//
//   asleep (observed while running)                   awake ◄─► asleep: by use, by idleness, or by hand. A wish by
//                                                     hand has a generation; the worker follows each once.
//
//   sandbox        observed
//     ended        ended
//     stopping     stopping; or anything else once the wish is stop
//     running      running (asleep or not: a condition, as unreachable is, and no state of its own)
//     pending      unseen, starting
//
//   sandbox        pending ─► running ─► stopping ─► ended
//                     │          └──────────────────────▲
//                     └───────► stopping ───────────────┘   no way leads back

export type ObservedState = "unseen" | "starting" | "running" | "stopping" | "ended";
export type Wish = "run" | "stop";
export type SandboxState = "pending" | "running" | "stopping" | "ended";

export type EndReason =
  | "exited"
  | "signalled"
  | "timeout"
  | "idle"
  | "oom"
  | "pids"
  | "terminated"
  | "init_failure"
  | "lost";

/** How an instance ended. */
export interface Outcome {
  readonly reason: EndReason;
  readonly exitCode: number;
  readonly signal?: string | undefined;
  readonly message?: string | undefined;
  /** The request's field at fault when the command could not be started. */
  readonly startErrorField?: string | undefined;
}

/** What of an instance reports move. */
export interface Observation {
  readonly observed: ObservedState;
  readonly seq: number;
  readonly startedAt: Date | undefined;
  readonly endedAt: Date | undefined;
  readonly outcome: Outcome | undefined;
  readonly networkGeneration: number;
  readonly asleep: boolean;
  /** The newest wish to sleep or to wake that was followed. */
  readonly sleepFollowed: number;
}

/** One report of the worker about one instance. */
export interface Report {
  readonly generation: number;
  readonly seq: number;
  readonly state: Exclude<ObservedState, "unseen">;
  readonly outcome: Outcome | undefined;
  readonly at: Date;
  readonly networkGeneration: number;
  readonly asleep: boolean;
  readonly sleepGeneration: number;
}

/** What the sandbox of an instance shows. */
export function sandboxState(wish: Wish, observed: ObservedState): SandboxState {
  if (observed === "ended") return "ended";
  if (wish === "stop" || observed === "stopping") return "stopping";
  return observed === "running" ? "running" : "pending";
}

/** Whether an instance has a newer policy than its kernel. Before its start, the first one is not waited for. */
export function isNetworkPending(observed: ObservedState, wished: number, applied: number): boolean {
  if (observed === "ended" || applied >= wished) return false;
  return wished > 1 || observed === "running" || observed === "stopping";
}

/** What a report makes of an instance; undefined when it changes nothing, being old or about an end that is final. */
export function applyReport(current: Observation, report: Report): Observation | undefined {
  if (current.observed === "ended" || report.seq <= current.seq) return undefined;
  const ended = report.state === "ended";
  return {
    observed: report.state,
    seq: report.seq,
    startedAt: current.startedAt ?? (report.state === "running" ? report.at : undefined),
    endedAt: ended ? report.at : undefined,
    outcome: ended ? (report.outcome ?? UNEXPLAINED) : undefined,
    networkGeneration: Math.max(current.networkGeneration, report.networkGeneration),
    asleep: report.asleep && !ended,
    sleepFollowed: Math.max(current.sleepFollowed, report.sleepGeneration),
  };
}

/** What becomes of an instance whose worker is given up; undefined when it has ended already. */
export function applyLoss(current: Observation, at: Date): Observation | undefined {
  if (current.observed === "ended") return undefined;
  return { ...current, observed: "ended", endedAt: at, outcome: LOST, asleep: false };
}

const LOST: Outcome = { reason: "lost", exitCode: 1, message: "its worker was silent for too long" };

const UNEXPLAINED: Outcome = { reason: "init_failure", exitCode: 1, message: "the worker reported no outcome" };

/** How a start went, once it is decided. */
export type StartResult =
  | { readonly kind: "started" }
  | { readonly kind: "refused"; readonly field: string; readonly message: string }
  | { readonly kind: "failed"; readonly message: string }
  | { readonly kind: "stopped" };

/** Whether the command was started. Undefined while it is open. A command that ended at once was started all the same. */
export function startResult(observed: ObservedState, startedAt: Date | undefined, outcome: Outcome | undefined) {
  const result = (value: StartResult) => value;
  if (observed !== "ended") return startedAt === undefined ? undefined : result({ kind: "started" });
  const message = outcome?.message;
  if (outcome?.startErrorField !== undefined) {
    return result({ kind: "refused", field: outcome.startErrorField, message: message ?? "could not be started" });
  }
  if (startedAt !== undefined) return result({ kind: "started" });
  switch (outcome?.reason) {
    case undefined:
    case "init_failure":
    case "lost":
      return result({ kind: "failed", message: message ?? "the sandbox could not be started" });
    case "terminated":
      return result({ kind: "stopped" });
    case "exited":
    case "signalled":
    case "timeout":
    case "idle":
    case "oom":
    case "pids":
      return result({ kind: "started" });
  }
}
