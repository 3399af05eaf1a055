// `sallyport events`: what happened to a sandbox.
import type { Json, SandboxEvent } from "@sallyport/sdk";
import type { Command } from "commander";
import { collect, parseNumber } from "../arguments.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { findSandbox, SANDBOX_ARGUMENT } from "../find.ts";
import { escapeText, toJsonLine, write } from "../output.ts";

interface EventsOptions {
  readonly follow?: boolean;
  readonly after?: number;
  readonly type?: readonly string[];
  readonly json?: boolean;
}

export function eventsCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  program
    .command("events")
    .description("tell what happened to a sandbox, oldest first")
    .argument("<sandbox>", SANDBOX_ARGUMENT)
    .option("-f, --follow", "go on until it has ended")
    .option("--after <number>", "only events after this one", parseNumber)
    .option("--type <type>", "only events of this type, e.g. network_denied; may be repeated", collect)
    .option("--json", "print JSON, one event to a line")
    .action(async (text: string, options: EventsOptions) => done(await events(context, text, options)));
}

async function events(context: CliContext, text: string, options: EventsOptions): Promise<number> {
  const { signal, stdout } = context;
  const { follow, after: afterSeq, type: types } = options;
  await using client = context.createClient();
  const sandbox = await findSandbox(client, text, signal);
  for await (const event of sandbox.events({ follow, afterSeq, signal })) {
    if (types !== undefined && !types.includes(event.type)) continue;
    await write(stdout, `${options.json === true ? toJsonLine(event) : lineOf(event)}\n`);
  }
  return EXIT.ok;
}

const TYPE_COLUMNS = 14;

function lineOf({ seq, at, type, detail }: SandboxEvent): string {
  const text = (type === "network_denied" ? denialText(detail) : undefined) ?? JSON.stringify(detail);
  const cells = [String(seq).padStart(4), at.toISOString(), escapeText(type).padEnd(TYPE_COLUMNS), escapeText(text)];
  return (text === "{}" ? cells.slice(0, 3) : cells).join("  ").trimEnd();
}

/** "tcp://198.51.100.7:443 unlisted, 3 packets; add …"; undefined for what does not look like a denial. */
function denialText(detail: Json): string | undefined {
  if (typeof detail !== "object" || detail === null || Array.isArray(detail)) return undefined;
  const { destination, port, protocol, rule, hint, count, more } = detail as Readonly<Record<string, Json>>;
  if (typeof more === "number") return `${packets(more)} more`;
  if (typeof destination !== "string" || typeof rule !== "string" || typeof count !== "number") return undefined;
  const host = destination.includes(":") ? `[${destination}]` : destination;
  const where = `${typeof protocol === "string" ? `${protocol}://` : ""}${host}${typeof port === "number" ? `:${port}` : ""}`;
  return `${where} ${rule}, ${packets(count)}${typeof hint === "string" && hint !== "" ? `; ${hint}` : ""}`;
}

function packets(count: number): string {
  return count === 1 ? "1 packet" : `${count} packets`;
}
