// `sallyport policy`: what a sandbox may reach, shown, changed and explained; explained without a platform too.
import { explain, PolicyError, parseGrants, parsePolicy } from "@sallyport/policy";
import type { AllowRule, Explanation, NetworkPolicy, SandboxInfo } from "@sallyport/sdk";
import type { Command } from "commander";
import { Option } from "commander";
import { collect } from "../arguments.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { CliError } from "../errors.ts";
import { findSandbox, SANDBOX_ARGUMENT } from "../find.ts";
import { escapeText, toJson, write } from "../output.ts";
import { collectEntry, ENTRY_HELP, entryText, POLICY_HELP, parsePolicyText, readPolicy } from "../policy-text.ts";

interface JsonOption {
  readonly json?: boolean;
}
interface SetOptions extends JsonOption {
  readonly allow?: readonly (string | AllowRule)[];
  readonly file?: string;
}
interface ExplainOptions extends JsonOption {
  readonly policy?: string;
  readonly grant?: readonly string[];
}

export function policyCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  const command = program.command("policy").description("what a sandbox may reach");
  command
    .command("show")
    .description("show it")
    .argument("<sandbox>", SANDBOX_ARGUMENT)
    .option("--json", "print JSON")
    .action(async (text: string, options: JsonOption) => done(await show(context, text, options)));
  command
    .command("set")
    .description("give a running sandbox another one, and wait until its kernel has it")
    .argument("<sandbox>", SANDBOX_ARGUMENT)
    .argument("[policy]", POLICY_HELP)
    .option("--allow <entry>", `let it reach this and nothing else; may be repeated: ${ENTRY_HELP}`, collectEntry)
    .addOption(new Option("--file <path>", "take it from this file, as a word or JSON").conflicts("allow"))
    .option("--json", "print JSON")
    .action(async (text: string, policy: string | undefined, options: SetOptions) =>
      done(await set(context, text, policy, options)),
    );
  command
    .command("explain")
    .description("tell whether it lets something through, by what rule, and what would change that")
    .usage("[options] SANDBOX DESTINATION\n       sallyport policy explain [options] --policy POLICY DESTINATION")
    .argument("<what...>", `the sandbox (${SANDBOX_ARGUMENT}), then e.g. 198.51.100.7:443, udp://[2001:db8::1]:53`)
    .option("--policy <policy>", `ask this one, and no platform: ${POLICY_HELP}, or a file with one`)
    .option("--grant <cidr>", "with --policy: private space that the operator granted; may be repeated", collect)
    .option("--json", "print JSON")
    .action(async (what: string[], options: ExplainOptions) => done(await tell(context, what, options)));
}

async function show(context: CliContext, text: string, options: JsonOption): Promise<number> {
  await using client = context.createClient();
  const { info } = await findSandbox(client, text, context.signal);
  await write(context.stdout, `${options.json === true ? toJson(viewOf(info)) : linesOf(info).join("\n")}\n`);
  return EXIT.ok;
}

async function set(
  context: CliContext,
  text: string,
  policyText: string | undefined,
  options: SetOptions,
): Promise<number> {
  const policy = await policyOf(policyText, options);
  const { signal } = context;
  await using client = context.createClient();
  const sandbox = await findSandbox(client, text, signal);
  await sandbox.updateNetworkPolicy(policy, { signal });
  await write(context.stdout, `${options.json === true ? toJson(viewOf(sandbox.info)) : sandbox.id}\n`);
  return EXIT.ok;
}

async function policyOf(text: string | undefined, { allow, file }: SetOptions): Promise<NetworkPolicy> {
  const stated = [text, allow, file].filter((one) => one !== undefined).length;
  const hint = "sallyport policy set SANDBOX open|blocked|JSON, or --allow ENTRY..., or --file PATH";
  if (stated !== 1) throw new CliError("Usage", stated === 0 ? "no policy" : "state one policy", { hint });
  if (allow !== undefined) return { allow };
  if (file !== undefined) return readPolicy(file);
  const policy = parsePolicyText(text ?? "");
  if (policy === undefined) throw new CliError("Usage", `"${text}" is no policy`, { hint });
  return policy;
}

async function tell(context: CliContext, what: readonly string[], options: ExplainOptions): Promise<number> {
  const explanation = await (options.policy === undefined
    ? askPlatform(context, what, options)
    : askHere(what, options.policy, options.grant ?? []));
  const { allowed, rule, why, hint } = explanation;
  const rows = [`${allowed ? "allowed" : "denied"}: ${rule}`, why, ...(hint === "" ? [] : [`hint: ${hint}`])];
  const text = options.json === true ? toJson(explanation) : rows.map(escapeText).join("\n");
  await write(context.stdout, `${text}\n`);
  return EXIT.ok;
}

async function askPlatform(
  context: CliContext,
  what: readonly string[],
  options: ExplainOptions,
): Promise<Explanation> {
  const [text, destination, ...more] = what;
  if (text === undefined || destination === undefined || more.length > 0) {
    throw new CliError("Usage", "name a sandbox and a destination", { hint: "or a policy, with --policy" });
  }
  if (options.grant !== undefined) throw new CliError("Usage", "--grant goes with --policy: a platform knows its own");
  const { signal } = context;
  await using client = context.createClient();
  const sandbox = await findSandbox(client, text, signal);
  return await sandbox.explain(destination, { signal }); // before the disposal
}

/** As a platform would, but for the addresses of its own machines, which only it knows. */
async function askHere(what: readonly string[], policyText: string, granted: readonly string[]): Promise<Explanation> {
  const [destination, ...more] = what;
  if (destination === undefined || more.length > 0)
    throw new CliError("Usage", "with --policy, name a destination alone");
  const stated: unknown = await readPolicy(policyText);
  try {
    const grants = parseGrants(granted, "--grant");
    const { allowed, rule, why, hint } = explain(parsePolicy(stated, { grants }), grants, destination);
    return { allowed, rule, why, hint };
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    throw new CliError("Usage", error.message, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      cause: error,
    });
  }
}

function viewOf({ id, network, networkGeneration, networkPending, dns }: SandboxInfo): object {
  return { id, network, networkGeneration, networkPending, dns };
}

function linesOf({ network, networkGeneration, networkPending, dns }: SandboxInfo): string[] {
  const mode = typeof network === "object" ? `allow, ${network.allow.length} entries` : (network ?? "unknown");
  const pending = networkPending ? ", not in the kernel yet: the one before still holds" : "";
  return [
    `${mode} (generation ${networkGeneration}${pending})`,
    ...(typeof network === "object" ? network.allow.map((entry) => `  ${escapeText(entryText(entry))}`) : []),
    ...(dns.length === 0 ? [] : [`resolvers: ${dns.map(escapeText).join(", ")}`]),
  ];
}
