// The states of a running instance's sleep, and the only function that goes from one to another.
//
//              tired                frozen
//   awake ────────────► suspending ────────► asleep
//    ▲  ▲                   │                  │
//    │  └───────────────────┘                  │ called
//    │        disturbed                        ▼
//    └────────────────────────────────────── waking
//                    thawed                (failed: asleep)

export type SleepState =
  | "awake"
  /** The gateway is asked to hold back whatever comes; then the sandbox is frozen. */
  | "suspending"
  /** Frozen. The freezer itself tells the next worker. */
  | "asleep"
  /** Being thawed; then the gateway lets go on what waits. */
  | "waking";

export type SleepEvent = "tired" | "frozen" | "disturbed" | "called" | "thawed" | "failed";

const TRANSITIONS: Readonly<Record<SleepState, Partial<Record<SleepEvent, SleepState>>>> = {
  awake: { tired: "suspending" },
  // In use after all, or it could not be frozen.
  suspending: { frozen: "asleep", disturbed: "awake" },
  asleep: { called: "waking" },
  waking: { thawed: "awake", failed: "asleep" },
};

/** Throws TypeError for a step that does not exist. */
export function nextSleepState(state: SleepState, event: SleepEvent): SleepState {
  const next = TRANSITIONS[state][event];
  if (next === undefined) throw new TypeError(`a sandbox that is ${state} cannot be ${event}`);
  return next;
}
