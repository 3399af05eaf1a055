// `sallyport doctor`: what this machine needs and has, and how its platform is.
import type { GetPlatformStatusResponse } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import { describeFindings, examine, rawPlaceOf } from "@sallyport/host";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { reportError } from "../errors.ts";
import type { HomeOptions } from "../home.ts";
import { machinePaths, withHome } from "../home.ts";
import { asOperator } from "../operator.ts";
import { escapeLines, toAge, toJson, write } from "../output.ts";
import type { SupervisorStatus } from "../supervisor.ts";
import { supervisorStatus } from "../supervisor.ts";
import { attackPlatform } from "./attack.ts";

interface DoctorOptions extends HomeOptions {
  readonly json?: boolean;
  readonly attack?: boolean;
}

interface PlatformReport {
  readonly supervisor?: SupervisorStatus;
  readonly api?: GetPlatformStatusResponse;
  /** Why one of them could not be asked. */
  readonly problem?: string;
}

export function doctorCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  withHome(program.command("doctor"))
    .description("tell what this machine needs and has, and how its platform is")
    .option("--json", "print JSON")
    .option("--attack", "instead, attack the running platform from inside sandboxes of its own, and print a scorecard")
    .action(async (options: DoctorOptions) => {
      done(
        options.attack === true ? await attackPlatform(context, options.json === true) : await doctor(context, options),
      );
    });
}

async function doctor(context: CliContext, options: DoctorOptions): Promise<number> {
  const { ok, findings } = await examine(machinePaths(context, options), rawPlaceOf(context.env));
  const platform = await platformReport(context, options);
  if (options.json === true) {
    await write(context.stdout, `${toJson({ ok, findings, platform })}\n`);
  } else {
    const rows = [...describeFindings(findings), "", ...describePlatform(platform)];
    await write(context.stdout, `${escapeLines(rows.join("\n"))}\n`);
  }
  return ok ? EXIT.ok : EXIT.failure;
}

async function platformReport(context: CliContext, options: DoctorOptions): Promise<PlatformReport> {
  try {
    const supervisor = await supervisorStatus(machinePaths(context, options).home.supervisorSocket, context.signal);
    if (supervisor?.state !== "ready") return supervisor === undefined ? {} : { supervisor };
    try {
      const api = await asOperator(context, options, (admin, call) =>
        callUnary(admin, admin.getPlatformStatus, {}, call),
      );
      return { supervisor, api };
    } catch (error) {
      return { supervisor, problem: reportError(error).message };
    }
  } catch (error) {
    return { problem: reportError(error).message };
  }
}

function describePlatform({ supervisor, api, problem }: PlatformReport): string[] {
  const rows: string[] = [];
  if (supervisor === undefined)
    rows.push(problem === undefined ? "platform: not running; `sallyport up` starts it" : "platform:");
  else rows.push(`platform: ${supervisor.state}${supervisor.apiUrl === undefined ? "" : ` at ${supervisor.apiUrl}`}`);
  for (const child of supervisor?.children ?? []) {
    rows.push(
      `  ${child.name.padEnd(15)} ${child.state}, pid ${child.pid ?? "none"}, restarted ${child.restarts} times${
        child.drainingPid === undefined ? "" : `; ${child.drainingPid} lets its connections end`
      }`,
    );
  }
  if (api !== undefined) rows.push(`  ${api.livingSandboxes} living sandboxes`);
  for (const worker of api?.workers ?? []) {
    const seen = worker.lastSeenAt === undefined ? "never" : `${toAge(Date.now() - worker.lastSeenAt.getTime())} ago`;
    const connection = worker.connected ? "connected" : `not connected, last seen ${seen}`;
    rows.push(`  worker ${worker.id}: ${connection}, ${worker.instances} instances, runsc ${worker.runscVersion}`);
  }
  if (problem !== undefined) rows.push(`  ${problem}`);
  return rows;
}
