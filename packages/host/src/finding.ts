// What a probe finds, why it matters, and how it is cured: the same shape for every need.

/** The things a machine must have, in the order in which they are cured. */
export type NeedName =
  | "platform"
  | "packages"
  | "names"
  | "kernel"
  | "runsc"
  | "engine"
  | "users"
  | "edges"
  | "native"
  | "base-image"
  | "postgres"
  | "release";

/** ok and warning: Sallyport runs. missing: not there yet. broken: there, but unusable. */
export type FindingState = "ok" | "warning" | "missing" | "broken";

/** What a cure is given: where to tell of its progress, and when to stop. */
export interface CureContext {
  readonly note: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

export interface Cure {
  /** Exact commands a person may type instead. */
  readonly say: readonly string[];
  /** In words, what `apply` does ("install conmon"). */
  readonly what?: string;
  /** Absent where only a person can do it. Needs root. Idempotent. */
  readonly apply?: (context: CureContext) => Promise<void>;
}

export interface Finding {
  readonly need: NeedName;
  readonly state: FindingState;
  /** Why Sallyport needs it. */
  readonly why: string;
  /** What is there: versions, paths. */
  readonly found?: string;
  /** What is wrong with it, for every state but ok. */
  readonly problem?: string;
  readonly cure?: Cure;
  /** Only a part of Sallyport rests on it: set-up brings it, and goes on where that fails. State `warning`. */
  readonly optional?: boolean;
}

/** One need of the machine. A probe changes nothing. */
export interface Need {
  readonly name: NeedName;
  readonly probe: () => Promise<Finding>;
}

/** Whether set-up should bring it. */
export function isWanting(finding: Finding): boolean {
  return !isUsable(finding) || (finding.optional === true && finding.cure?.apply !== undefined);
}

/** Whether Sallyport can run with this finding. */
export function isUsable(finding: Finding): boolean {
  return finding.state === "ok" || finding.state === "warning";
}
