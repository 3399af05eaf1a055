// Doorway of the set-up: run by the bootstrap under Node 24, straight from these sources. Tells its progress over IPC, or on stderr.
import { resolve } from "node:path";
import type { SetupPurpose } from "./debian-packages.ts";
import { describeFindings, reportOf } from "./doctor.ts";
import { messageOf } from "./errors.ts";
import { sallyportPaths } from "./paths.ts";
import { platformFacts } from "./platform.ts";
import type { SetupReporter, SetupResult } from "./setup.ts";
import { allNeeds, setUp } from "./setup.ts";

/** What the bootstrap is told, one message each. */
export type SetupMessage =
  | { readonly kind: "begin"; readonly what: string; readonly why: string }
  | { readonly kind: "note"; readonly line: string }
  | { readonly kind: "say"; readonly line: string }
  | { readonly kind: "end"; readonly problem?: string };

const SETUP_COMMAND = "npm run setup";

const tell = (message: SetupMessage): void => {
  if (process.send !== undefined) process.send(message);
  else if (message.kind === "say") console.error(message.line);
  else if (message.kind === "begin") console.error(`${message.what}: ${message.why}`);
  else if (message.kind === "end" && message.problem !== undefined) console.error(`failed: ${message.problem}`);
};

const reporter: SetupReporter = {
  begin: (_need, what, why) => tell({ kind: "begin", what, why }),
  note: (line) => tell({ kind: "note", line }),
  end: (_need, problem) => tell({ kind: "end", ...(problem === undefined ? {} : { problem }) }),
};

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => stop.abort(new Error(`${signal} received`)));

try {
  const facts = await platformFacts();
  const checkOnly = process.env["SALLYPORT_SETUP"] === "check";
  const paths = sallyportPaths();
  const clone = resolve(import.meta.dirname, "../../..");
  const result = await setUp({
    paths,
    clone,
    needs: allNeeds(paths, clone, purposeOf(process.env["SALLYPORT_SETUP_FOR"])),
    mayInstall: facts.isRoot && facts.hasApt && !checkOnly,
    reporter,
    signal: stop.signal,
  });
  for (const line of closingLines(result)) tell({ kind: "say", line });
  if (!result.ok) process.exitCode = 1;
} catch (error) {
  tell({ kind: "say", line: `set-up stopped: ${messageOf(error)}` });
  process.exitCode = stop.signal.aborted ? 130 : 1;
} finally {
  process.disconnect?.();
}

function purposeOf(text: string | undefined): SetupPurpose {
  return text === "tests" || text === "full-tests" ? text : "use";
}

/** What is left to say. Warnings are told when something was installed, and by `sallyport doctor`: not at each run. */
function closingLines(result: SetupResult): readonly string[] {
  const wrong = reportOf(result.findings).findings.filter((finding) => finding.state !== "ok");
  if (result.stoppedAt === undefined) return result.ok && result.cured.length === 0 ? [] : describeFindings(wrong);
  // The problem itself has been told by the step that failed.
  const at = wrong.findIndex((finding) => finding.need === result.stoppedAt);
  const commands = (wrong[at]?.cure ?? []).filter((command) => command !== SETUP_COMMAND);
  const later = wrong.slice(at + 1).map((finding) => finding.need);
  return [
    ...commands.map((command) => `by hand, type: ${command}`),
    ...(later.length === 0 ? [] : [`not reached: ${later.join(", ")}`]),
  ];
}
