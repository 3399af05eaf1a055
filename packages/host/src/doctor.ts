// What `sallyport doctor` shows: every finding of this machine as plain data, and as words.
import type { RawPlace } from "./edges.ts";
import type { Finding, FindingState, NeedName } from "./finding.ts";
import { isUsable } from "./finding.ts";
import type { SallyportPaths } from "./paths.ts";
import { allNeeds, probeAll } from "./setup.ts";

/** A finding as JSON: without the function that cures. */
export interface FindingReport {
  readonly need: NeedName;
  readonly state: FindingState;
  readonly why: string;
  readonly found?: string;
  readonly problem?: string;
  /** Commands a person may type. */
  readonly cure?: readonly string[];
}

export interface DoctorReport {
  /** Whether Sallyport can run here. Warnings do not count. */
  readonly ok: boolean;
  readonly findings: readonly FindingReport[];
}

/** Looks at everything; changes nothing. */
export async function examine(paths: SallyportPaths, rawPlace?: RawPlace): Promise<DoctorReport> {
  return reportOf(await probeAll(allNeeds(paths, undefined, "use", rawPlace)));
}

/** Pure. */
export function reportOf(findings: readonly Finding[]): DoctorReport {
  return { ok: findings.every(isUsable), findings: findings.map(asReport) };
}

/** Lines for a person: one per need, and below it what is wrong and what to type. Pure. */
export function describeFindings(findings: readonly FindingReport[]): readonly string[] {
  const lines: string[] = [];
  for (const { need, state, found, problem, why, cure } of findings) {
    lines.push(`${MARKS[state]} ${need.padEnd(10)} ${state === "ok" ? (found ?? "there") : (problem ?? state)}`);
    if (state === "ok") continue;
    if (found !== undefined) lines.push(`             found: ${found}`);
    lines.push(`             why: ${why}`);
    for (const command of cure ?? []) lines.push(`             type: ${command}`);
  }
  return lines;
}

const MARKS: Readonly<Record<FindingState, string>> = {
  ok: "ok     ",
  warning: "warning",
  missing: "missing",
  broken: "broken ",
};

function asReport(finding: Finding): FindingReport {
  const { need, state, why, found, problem, cure } = finding;
  return {
    need,
    state,
    why,
    ...(found === undefined ? {} : { found }),
    ...(problem === undefined ? {} : { problem }),
    ...(cure === undefined ? {} : { cure: cure.say }),
  };
}
