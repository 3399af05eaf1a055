// The states of an instance, and the only function that goes from one to another.
//
//                 prepared            claimed
//   preparing ──────────────► claiming ───────► running
//    │   ▲                      │                 │
//    │   └─ (rolledBack)        │ endWanted       │ endWanted
//    │ endWanted                ▼                 │
//    └─────────────────────► stopping ◄───────────┘
//                               │ cleaned
//                               ▼
//                             ended                  (final)

export type Phase =
  /** A sandbox is made: nothing of the tenant's is in it, nothing leaves its network. */
  | "preparing"
  /** The sandbox's init is up; policy, limits and command are being given to it. From here on it is one tenant's. */
  | "claiming"
  /** Policy is in the kernel, the command runs, doors are open. */
  | "running"
  /** How it ended is decided; what it had is being removed. */
  | "stopping"
  /** Nothing of it is left but this. */
  | "ended";

export type PhaseEvent = "prepared" | "claimed" | "rolledBack" | "endWanted" | "cleaned";

const TRANSITIONS: Readonly<Record<Phase, Partial<Record<PhaseEvent, Phase>>>> = {
  // A half-made sandbox of an earlier worker is thrown away, and another is made.
  preparing: { prepared: "claiming", rolledBack: "preparing", endWanted: "stopping" },
  claiming: { claimed: "running", endWanted: "stopping" },
  running: { endWanted: "stopping" },
  stopping: { cleaned: "ended" },
  ended: {},
};

/** Throws TypeError for a step that does not exist. */
export function nextPhase(phase: Phase, event: PhaseEvent): Phase {
  const next = TRANSITIONS[phase][event];
  if (next === undefined) throw new TypeError(`an instance that is ${phase} cannot be ${event}`);
  return next;
}
