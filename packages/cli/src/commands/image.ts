// `sallyport image`: what sandboxes start from.
import { join } from "node:path";
import type { ImageInfo } from "@sallyport/sdk";
import { Image } from "@sallyport/sdk";
import type { Command } from "commander";
import { parseDuration } from "../arguments.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../context.ts";
import { describeError } from "../errors.ts";
import { escapeText, toAge, toJson, toTable, write } from "../output.ts";

interface MakeOptions {
  readonly file?: string;
  readonly force?: boolean;
  readonly timeout?: number;
  readonly json?: boolean;
}

interface JsonOption {
  readonly json?: boolean;
}

export function imageCommand(context: CliContext, program: Command, done: (code: number) => void): void {
  const command = program.command("image").description("images that sandboxes start from: pull, build, list, give up");
  withMaking(command.command("build"))
    .description("build a Dockerfile; its log goes to stderr, the image's id to stdout")
    .argument("<path>", "the directory of what it copies")
    .option("-f, --file <path>", "the Dockerfile (default: Dockerfile in that directory)")
    .action(async (path: string, options: MakeOptions) => {
      const file = options.file ?? join(path, "Dockerfile");
      done(await make(context, Image.fromDockerfile(file, { context: path }), options));
    });
  withMaking(command.command("pull"))
    .description("pull an image of a registry")
    .argument("<reference>", "e.g. python:3.12")
    .action(async (reference: string, options: MakeOptions) => {
      done(await make(context, Image.fromRegistry(reference), options));
    });
  command
    .command("ls")
    .description("list images, newest first")
    .option("--json", "print JSON")
    .action(async (options: JsonOption) => done(await ls(context, options)));
  command
    .command("rm")
    .description("give images up; sandboxes that run from them go on")
    .argument("<image...>", "their ids")
    .action(async (ids: string[]) => done(await rm(context, ids)));
}

function withMaking(command: Command): Command {
  return command
    .option("--force", "make it anew, even if there is one of the same source")
    .option("--timeout <duration>", "cancel it after, e.g. 10m (default: 30m, by the platform)", parseDuration)
    .option("--json", "print JSON");
}

async function make(context: CliContext, image: Image, options: MakeOptions): Promise<number> {
  await using client = context.createClient();
  let written = Promise.resolve();
  const onLog = (line: string) => {
    written = written.then(() => write(context.stderr, `${escapeText(line)}\n`));
  };
  const made = await image.build({
    client,
    signal: context.signal,
    onLog,
    timeoutMs: options.timeout,
    force: options.force,
  });
  await written;
  const text = options.json === true ? toJson(made.info) : made.toString();
  await write(context.stdout, `${text}\n`);
  return EXIT.ok;
}

async function ls(context: CliContext, options: JsonOption): Promise<number> {
  await using client = context.createClient();
  const images: ImageInfo[] = [];
  for await (const image of Image.list({ client, signal: context.signal })) images.push(image);
  const head = ["ID", "STATE", "AGE", "SIZE", "SOURCE"];
  const text = options.json === true ? toJson(images) : toTable(head, images.map(rowOf));
  await write(context.stdout, `${text}\n`);
  return EXIT.ok;
}

function rowOf({ id, state, createdAt, size, source }: ImageInfo): string[] {
  const age = createdAt === undefined ? "" : toAge(Date.now() - createdAt.getTime());
  return [id, state, age, state === "ready" ? `${Math.ceil(size / 1024 / 1024)} MiB` : "", source];
}

async function rm(context: CliContext, ids: readonly string[]): Promise<number> {
  await using client = context.createClient();
  let code: number = EXIT.ok;
  for (const id of ids) {
    try {
      await Image.delete(id, { client, signal: context.signal });
      await write(context.stdout, `${escapeText(id)}\n`);
    } catch (error) {
      await write(context.stderr, describeError(error, false));
      code = EXIT.failure;
    }
  }
  return code;
}
