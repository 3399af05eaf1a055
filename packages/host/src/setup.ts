// Set-up: probes every need, cures what is missing where it may, and says what to type where it may not.
import { baseImageNeed } from "./base-image.ts";
import type { SetupPurpose } from "./debian-packages.ts";
import { packageNames, packagesNeed } from "./debian-packages.ts";
import type { RawPlace } from "./edges.ts";
import { edgesNeed } from "./edges.ts";
import { engineNeed } from "./engine.ts";
import { messageOf } from "./errors.ts";
import type { Finding, Need, NeedName } from "./finding.ts";
import { isUsable, isWanting } from "./finding.ts";
import { kernelNeed } from "./kernel.ts";
import { localhostNamesNeed } from "./localhost-names.ts";
import { lockFile } from "./lock.ts";
import { nativeNeed } from "./native.ts";
import type { SallyportPaths } from "./paths.ts";
import { platformNeed } from "./platform.ts";
import { postgresNeed } from "./postgres.ts";
import { releaseNeed } from "./release.ts";
import { runscNeed } from "./runsc.ts";
import { usersNeed } from "./users.ts";

/** Told what set-up does, as it does it. */
export interface SetupReporter {
  begin(step: SetupStep, what: string, why: string): void;
  /** A line of a program that is at work, or a short word on what goes on. */
  note(line: string): void;
  end(step: SetupStep, problem?: string): void;
}

/** A need that is cured, or the wait for another set-up. */
export type SetupStep = NeedName | "lock";

export interface SetupOptions {
  readonly paths: SallyportPaths;
  /** Root of the source tree; without it, what is built from it is only looked at. */
  readonly clone?: string;
  /** Whether anything may be changed: root, apt there, and not told to check only. */
  readonly mayInstall: boolean;
  readonly reporter: SetupReporter;
  readonly signal?: AbortSignal;
  /** The needs to see to. All of them when unset. */
  readonly needs?: readonly Need[];
}

export interface SetupResult {
  readonly ok: boolean;
  /** One per need, as it is now. */
  readonly findings: readonly Finding[];
  /** What was cured in this run. */
  readonly cured: readonly NeedName[];
  /** The need whose cure failed; what comes after it was only looked at. */
  readonly stoppedAt?: NeedName;
}

/**
 * Every need, in the order in which they are cured: a later one may call what an earlier one brings. For tests
 * with what only the project's own tests call.
 */
export function allNeeds(
  paths: SallyportPaths,
  clone?: string,
  purpose: SetupPurpose = "use",
  rawPlace?: RawPlace,
): readonly Need[] {
  return [
    platformNeed(),
    packagesNeed(packageNames(purpose)),
    localhostNamesNeed(),
    kernelNeed(),
    runscNeed(paths),
    engineNeed(paths),
    usersNeed(),
    edgesNeed(rawPlace),
    nativeNeed(paths, clone),
    postgresNeed(paths, clone),
    releaseNeed(paths, clone),
    baseImageNeed(paths),
  ];
}

/** Probes all needs at once. A probe that fails is a finding of its own. */
export async function probeAll(needs: readonly Need[]): Promise<readonly Finding[]> {
  return Promise.all(needs.map(probeSafely));
}

/** Idempotent; two at once wait for each other. */
export async function setUp(options: SetupOptions): Promise<SetupResult> {
  const needs = options.needs ?? allNeeds(options.paths, options.clone);
  const findings = await probeAll(needs);
  if (!findings.some(isWanting)) return { ok: true, findings, cured: [] };
  // What nobody can mend by installing is told before anything is installed.
  const hopeless = findings.some((finding) => !isUsable(finding) && finding.cure?.apply === undefined);
  if (!options.mayInstall || hopeless) return { ok: findings.every(isUsable), findings, cured: [] };
  await using _lock = await takeLock(options);
  // Awaited here: the lock is let go when this function is left.
  return await cureAll(needs, options);
}

async function takeLock({ paths, reporter, signal }: SetupOptions): Promise<AsyncDisposable> {
  let waited = false;
  const onWait = () => {
    waited = true;
    reporter.begin("lock", "wait for another set-up of this machine", "two at once would undo each other's work");
  };
  const lock = await lockFile(paths.opt.setupLock, { signal, onWait });
  if (waited) reporter.end("lock");
  return lock;
}

async function cureAll(needs: readonly Need[], options: SetupOptions): Promise<SetupResult> {
  const findings: Finding[] = [];
  const cured: NeedName[] = [];
  for (const need of needs) {
    const before = await probeSafely(need);
    const after = isWanting(before) ? await cureOne(need, before, options) : before;
    findings.push(after);
    if (!isUsable(after)) {
      // The rest rests on it: told as found, not touched.
      const rest = await probeAll(needs.slice(findings.length));
      return { ok: false, findings: [...findings, ...rest], cured, stoppedAt: need.name };
    }
    if (isWanting(before) && !isWanting(after)) cured.push(need.name);
  }
  return { ok: true, findings, cured };
}

async function cureOne(need: Need, finding: Finding, options: SetupOptions): Promise<Finding> {
  const { reporter, signal } = options;
  const apply = finding.cure?.apply;
  if (apply === undefined) return finding;
  reporter.begin(need.name, finding.cure?.what ?? need.name, finding.why);
  try {
    await apply({ note: (line) => reporter.note(line), signal });
  } catch (error) {
    signal?.throwIfAborted();
    reporter.end(need.name, messageOf(error));
    return { ...finding, problem: messageOf(error) };
  }
  const after = await probeSafely(need);
  reporter.end(need.name, isWanting(after) ? (after.problem ?? "still missing") : undefined);
  return after;
}

async function probeSafely(need: Need): Promise<Finding> {
  try {
    return await need.probe();
  } catch (error) {
    return { need: need.name, state: "broken", why: "it could not be looked at", problem: messageOf(error) };
  }
}
