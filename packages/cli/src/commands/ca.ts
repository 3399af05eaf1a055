// `sallyport ca`: the authority that signs the certificates of a machine's own connect domain, and who trusts it.
import { access, constants } from "node:fs/promises";
import { homedir } from "node:os";
import type { AdminServiceClient, GrpcCallOptions } from "@sallyport/contracts/grpc";
import { callUnary } from "@sallyport/contracts/grpc";
import type { TrustOptions, TrustStep } from "@sallyport/host";
import { homeOfUser, readBoundAuthority, trustAuthority, untrustAuthorities } from "@sallyport/host";
import type { LocalAuthority } from "@sallyport/sdk";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { CliError } from "../errors.ts";
import type { HomeOptions } from "../home.ts";
import { homePaths, withHome } from "../home.ts";
import { asOperator } from "../operator.ts";
import { escapeLines, escapeText, toJson, write } from "../output.ts";

interface CaOptions extends HomeOptions {
  readonly json?: boolean;
}
interface TrustingOptions extends CaOptions {
  readonly domain?: string;
}

const AFTER_HELP = `
The authority can vouch for the names of the connect domain alone (localhost, unless it was set otherwise): its certificate
says so in critical name constraints, which every client that checks certificates obeys. trust refuses any other, and one
for another domain than localhost unless you name that domain.
As root it is trusted by the system, and by the browsers of whoever called sudo; else by the caller's browsers alone.`;

export function caCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  const command = program
    .command("ca")
    .description("the platform's own certificate authority for the names of its sandboxes, https://NAME.localhost")
    .addHelpText("after", AFTER_HELP);
  withHome(command.command("print"))
    .description("print its certificate (PEM), e.g. for curl --cacert")
    .option("--json", "print JSON, with fingerprint and domains")
    .action(async (options: CaOptions) => done(await print(context, options)));
  withHome(command.command("trust"))
    .description("have this machine's programs and this user's browsers trust it")
    .option("--domain <name>", "the domain that it is for, where that is not localhost")
    .option("--json", "print JSON")
    .action(async (options: TrustingOptions) => done(await trust(context, options)));
  withHome(command.command("untrust"))
    .description("take the authorities of all Sallyport platforms out again")
    .option("--json", "print JSON")
    .action(async (options: CaOptions) => done(await untrust(context, options)));
}

async function print(context: CliContext, options: CaOptions): Promise<number> {
  const { authority } = await readAuthority(context, options);
  const text = options.json === true ? `${toJson(authority)}\n` : escapeLines(authority.certificatePem);
  await write(context.stdout, text.endsWith("\n") ? text : `${text}\n`);
  return EXIT.ok;
}

async function trust(context: CliContext, options: TrustingOptions): Promise<number> {
  const { authority, isOperators } = await readAuthority(context, options);
  const bound = readBoundAuthority(authority.certificatePem, domainOf(authority, isOperators, options.domain));
  if (options.json !== true) {
    // Before anything is changed.
    const what = `the authority of ${bound.domain}, and of no other names: SHA-256 ${bound.fingerprint}`;
    await write(context.stdout, `${what}\n`);
  }
  const steps = await trustAuthority(bound, await trustOptions(context));
  return tell(context, options, { domain: bound.domain, fingerprint: bound.fingerprint }, steps);
}

async function untrust(context: CliContext, options: CaOptions): Promise<number> {
  return tell(context, options, {}, await untrustAuthorities(await trustOptions(context)));
}

/** The name that it may vouch for. A platform elsewhere does not choose what this machine trusts it for: the user does. */
function domainOf({ domains }: LocalAuthority, isOperators: boolean, named: string | undefined): string {
  const [domain = "", ...others] = domains;
  if (others.length > 0) throw new CliError("Failed", `the authority is for ${domains.length} domains, not for one`);
  if (named !== undefined && named !== domain) {
    throw new CliError("Failed", `the authority is for ${escapeText(domain)}, not for ${escapeText(named)}`);
  }
  if (named === undefined && domain !== "localhost" && !isOperators) {
    throw new CliError("Failed", `the platform says that its authority is for ${escapeText(domain)}`, {
      hint: "if you mean this machine to trust it there, name that domain: --domain NAME",
    });
  }
  return domain;
}

/** From the platform of this machine where its operator asks, else from the one that SDK and CLI use. */
async function readAuthority(
  context: CliContext,
  options: CaOptions,
): Promise<{ authority: LocalAuthority; isOperators: boolean }> {
  const { signal } = context;
  if (options.home !== undefined || (await isOpen(homePaths(context, options).apiOperatorSocket))) {
    const ask = (admin: AdminServiceClient, call: GrpcCallOptions) =>
      callUnary(admin, admin.getLocalAuthority, {}, call);
    return { authority: await asOperator(context, options, ask), isOperators: true };
  }
  await using client = context.createClient();
  return { authority: await client.localAuthority({ signal }), isOperators: false };
}

async function isOpen(path: string): Promise<boolean> {
  return access(path, constants.W_OK).then(
    () => true,
    () => false,
  );
}

/** Under sudo the browsers are those of whoever called it. */
async function trustOptions({ env, isRoot, signal }: CliContext): Promise<TrustOptions> {
  const { HOME = homedir(), PATH = "", SUDO_USER } = env;
  const options = { isRoot, path: PATH, signal };
  if (!isRoot || SUDO_USER === undefined || SUDO_USER === "root") return { ...options, userHome: HOME };
  return { ...options, userHome: await homeOfUser(SUDO_USER), runAs: SUDO_USER };
}

async function tell(
  context: CliContext,
  { json }: CaOptions,
  about: object,
  steps: readonly TrustStep[],
): Promise<number> {
  const rows = steps.flatMap(({ place, state, note, cure }) => [
    `${state.padEnd(7)} ${escapeText(place)}: ${escapeText(note)}`,
    ...(cure === undefined ? [] : [`        type: ${escapeText(cure)}`]),
  ]);
  await write(context.stdout, `${json === true ? toJson({ ...about, steps }) : rows.join("\n")}\n`);
  const failed = steps.some(({ state }) => state === "failed") || !steps.some(({ state }) => state === "done");
  return failed ? EXIT.failure : EXIT.ok;
}
