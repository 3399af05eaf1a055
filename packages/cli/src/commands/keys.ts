// `sallyport keys`: the operator looks at the keys that sign connect tokens, and changes them.
import type { ConnectKey } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import type { Command } from "commander";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import type { HomeOptions } from "../home.ts";
import { withHome } from "../home.ts";
import { asOperator } from "../operator.ts";
import { escapeText, toJson, toTable, write } from "../output.ts";

interface KeysOptions extends HomeOptions {
  readonly json?: boolean;
}

export function keysCommand(context: CliContext, parent: Command, done: (code: number) => void): void {
  const command = parent
    .command("keys")
    .description("keys that sign connect tokens (operator: root on the platform's machine)");
  withHome(command.command("list", { isDefault: true }))
    .description("list them; not their secret halves, which no command shows")
    .option("--json", "print JSON")
    .action(async (options: KeysOptions) => done(await list(context, options)));
  withHome(command.command("rotate"))
    .description("sign with a new key from now on; tokens of older keys count until they expire")
    .option("--json", "print JSON")
    .action(async (options: KeysOptions) => done(await rotate(context, options)));
}

async function list(context: CliContext, options: KeysOptions): Promise<number> {
  const { keys } = await asOperator(context, options, (admin, call) =>
    callUnary(admin, admin.listConnectKeys, {}, call),
  );
  const text = options.json === true ? toJson(keys) : toTable(["ID", "CREATED", "STATE"], keys.map(rowOf));
  await write(context.stdout, `${text}\n`);
  return EXIT.ok;
}

function rowOf({ keyId, createdAt, signing, removedAt }: ConnectKey): string[] {
  const leaves = removedAt === undefined ? "is published" : `leaves ${removedAt.toISOString()}`;
  return [keyId, createdAt?.toISOString() ?? "", signing ? "signs" : leaves];
}

async function rotate(context: CliContext, options: KeysOptions): Promise<number> {
  const { keyId, staleEdges } = await asOperator(context, options, (admin, call) =>
    callUnary(admin, admin.rotateConnectKey, {}, call),
  );
  await write(context.stdout, options.json === true ? `${toJson({ keyId, staleEdges })}\n` : `${escapeText(keyId)}\n`);
  if (options.json !== true && staleEdges.length > 0) {
    const names = staleEdges.map(escapeText).join(", ");
    await write(
      context.stderr,
      `warning: out of reach: ${names}; they refuse tokens of the new key until they are back\n`,
    );
  }
  return EXIT.ok;
}
