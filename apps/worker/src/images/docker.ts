// What the engine is asked, and what of its answers is let through: logs as text, errors without what was secret.
import { Buffer } from "node:buffer";
import { Readable } from "node:stream";
import type Docker from "dockerode";
import { z } from "zod";
import { ImageError } from "./errors.ts";
import {
  BUILD_CPU_PERIOD_US,
  BUILD_CPU_QUOTA_US,
  BUILD_MEMORY_BYTES,
  MAX_CONFIG_BYTES,
  MAX_MESSAGE_BYTES,
} from "./limits.ts";

/** For the registry of one making. */
export interface RegistryLogin {
  readonly registry: string;
  readonly username: string;
  readonly password: string;
}

/** What of an image's configuration means something here. */
export interface ImageConfig {
  readonly id: string;
  readonly size: number;
  readonly env: readonly string[];
  readonly workdir: string;
  readonly user: string;
  readonly command: readonly string[];
  /** Whether it would add steps to a build from it. */
  readonly hasTriggers: boolean;
}

export interface EngineClient {
  /** Pulls, anew where the tag has moved; answers with the image's id. */
  pull(reference: string, login: RegistryLogin | undefined): Promise<string>;
  /** Builds with the classic builder; answers with the image's id. */
  build(context: Readable, dockerfileName: string): Promise<string>;
  inspect(id: string): Promise<ImageConfig>;
  /** The whole file system of an image as an archive; `done` takes away what that took. */
  exportRootfs(id: string): Promise<{ readonly archive: Readable; readonly done: () => Promise<void> }>;
}

export interface EngineClientOptions {
  readonly socket: string;
  readonly signal: AbortSignal;
  readonly onLog: (text: string) => void;
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

const inspectShape = z.object({
  Id: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  Size: z.number(),
  Os: z.string(),
  Architecture: z.string(),
  Config: z
    .object({
      Env: z.array(z.string()).nullish(),
      WorkingDir: z.string().nullish(),
      User: z.string().nullish(),
      Entrypoint: z.union([z.array(z.string()), z.string()]).nullish(),
      Cmd: z.union([z.array(z.string()), z.string()]).nullish(),
      OnBuild: z.array(z.string()).nullish(),
    })
    .nullish(),
});

const messageShape = z.object({
  stream: z.string().optional(),
  status: z.string().optional(),
  id: z.string().optional(),
  error: z.string().optional(),
  aux: z.object({ ID: z.string().optional() }).optional(),
});

type Message = z.infer<typeof messageShape>;

/** The client is loaded when the first image is made: most workers never need it. */
export async function openEngineClient(options: EngineClientOptions): Promise<EngineClient> {
  const { default: DockerClient } = await import("dockerode");
  const docker: Docker = new DockerClient({ socketPath: options.socket });
  const { signal, onLog } = options;

  const inspect = async (id: string): Promise<ImageConfig> => {
    const answer: unknown = await docker
      .getImage(id)
      .inspect()
      .catch((error: unknown) => {
        throw translated(error, signal, "the image could not be looked at");
      });
    const found = inspectShape.safeParse(answer);
    if (!found.success) throw new ImageError("MakingFailed", "the image has a configuration that is none", found.error);
    const { Id, Size, Os, Architecture, Config: config } = found.data;
    const own = ARCHITECTURES[process.arch];
    if (Os !== "linux" || Architecture !== own) {
      throw new ImageError("Refused", `the image is for ${Os}/${Architecture}, this machine is linux/${own}`);
    }
    const words = (value: readonly string[] | string | null | undefined) =>
      typeof value === "string" ? ["/bin/sh", "-c", value] : [...(value ?? [])];
    const command = [...words(config?.Entrypoint), ...words(config?.Cmd)];
    const env = config?.Env ?? [];
    const bytes = [...env, ...command, config?.WorkingDir ?? ""].reduce(
      (sum, text) => sum + Buffer.byteLength(text),
      0,
    );
    if (bytes > MAX_CONFIG_BYTES) throw new ImageError("Refused", "the image's environment and command are too long");
    return {
      id: Id,
      size: Size,
      env,
      workdir: config?.WorkingDir ?? "",
      user: config?.User ?? "",
      command,
      hasTriggers: (config?.OnBuild ?? []).length > 0,
    };
  };

  return {
    inspect,

    async pull(reference, login) {
      const authconfig =
        login === undefined
          ? {}
          : { authconfig: { username: login.username, password: login.password, serveraddress: login.registry } };
      try {
        const stream = await docker.pull(reference, { ...authconfig, abortSignal: signal });
        await follow(stream as Readable, signal, pullLog(onLog));
      } catch (error) {
        throw translated(error, signal, `${reference} could not be pulled`, login);
      }
      return (await inspect(reference)).id;
    },

    async build(context, dockerfileName) {
      let id: string | undefined;
      try {
        const stream = await docker.buildImage(context as NodeJS.ReadableStream, {
          version: "1",
          dockerfile: dockerfileName,
          pull: false,
          rm: true,
          forcerm: true,
          networkmode: "bridge",
          memory: BUILD_MEMORY_BYTES,
          memswap: BUILD_MEMORY_BYTES,
          cpuperiod: BUILD_CPU_PERIOD_US,
          cpuquota: BUILD_CPU_QUOTA_US,
          abortSignal: signal,
        });
        await follow(stream as Readable, signal, (message) => {
          if (message.aux?.ID !== undefined) id = message.aux.ID;
          if (message.stream !== undefined) onLog(withoutColours(message.stream));
        });
      } catch (error) {
        throw translated(error, signal, "the build failed");
      }
      if (id === undefined) throw new ImageError("MakingFailed", "the build ended without an image");
      return id;
    },

    async exportRootfs(id) {
      // Never started: it only makes the layers one tree.
      const container = await docker
        .createContainer({
          Image: id,
          Cmd: ["/"],
          Entrypoint: "",
          NetworkDisabled: true,
          abortSignal: signal,
        })
        .catch((error: unknown) => {
          throw translated(error, signal, "the image could not be exported");
        });
      const done = async () => {
        try {
          await container.remove({ v: true, force: true });
        } catch {
          // It was never started and holds nothing: what is left of it lies on the engine's bounded disk.
        }
      };
      try {
        return { archive: Readable.from(await container.export({ abortSignal: signal })), done };
      } catch (error) {
        await done();
        throw translated(error, signal, "the image could not be exported");
      }
    },
  };
}

/** Reads the engine's JSON lines to their end. Throws where one of them tells an error. */
async function follow(stream: Readable, signal: AbortSignal, onMessage: (message: Message) => void): Promise<void> {
  const kill = () => stream.destroy(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
  signal.addEventListener("abort", kill, { once: true });
  try {
    let rest = "";
    for await (const chunk of stream.setEncoding("utf8") as AsyncIterable<string>) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > MAX_MESSAGE_BYTES) throw new ImageError("MakingFailed", "the engine said too much at once");
      for (const line of lines) {
        const message = line.trim() === "" ? undefined : messageShape.safeParse(JSON.parse(line)).data;
        if (message === undefined) continue;
        if (message.error !== undefined) throw new EngineRefusal(message.error);
        onMessage(message);
      }
    }
    signal.throwIfAborted();
  } finally {
    signal.removeEventListener("abort", kill);
    stream.destroy();
  }
}

/** What the engine answered by an error of its own. */
class EngineRefusal extends Error {
  override readonly name = "EngineRefusal";
  readonly code = "EngineRefusal" as const;
}

/** One line per step of a layer, instead of a bar that moves. */
function pullLog(onLog: (text: string) => void): (message: Message) => void {
  const last = new Map<string, string>();
  return ({ id = "", status }) => {
    if (status === undefined || last.get(id) === status || /^(Downloading|Extracting|Waiting|Verifying)/.test(status))
      return;
    last.set(id, status);
    onLog(id === "" ? `${status}\n` : `${id}: ${status}\n`);
  };
}

/** The classic builder writes standard error in red, piece by piece. */
export function withoutColours(text: string): string {
  return text.startsWith("\u001b[91m") && text.endsWith("\u001b[0m") ? text.slice(5, -4) : text;
}

const MAX_ERROR_CHARACTERS = 1_000;

/** An error of the engine, in words for the tenant: nothing of a credential, no path of the engine's. */
export function translated(error: unknown, signal: AbortSignal, what: string, login?: RegistryLogin): Error {
  if (signal.aborted)
    return signal.reason instanceof Error ? signal.reason : new Error("aborted", { cause: signal.reason });
  if (error instanceof ImageError) return error;
  // No answer of the engine at all: its connection broke, and most likely it is gone.
  const hasAnswered = error instanceof EngineRefusal || (error instanceof Error && "statusCode" in error);
  if (!hasAnswered) return new ImageError("EngineFailed", "the engine that makes images has ended", error);
  const text =
    error instanceof Error ? (("json" in error ? textOf(error.json) : undefined) ?? error.message) : String(error);
  const said = scrubbed(text.replace(/^\(HTTP code \d+\) [^-]*- /, "").trim(), login).slice(0, MAX_ERROR_CHARACTERS);
  return new ImageError("MakingFailed", `${what}: ${said}${isDenied(said) ? deniedHint(login) : ""}`);
}

function isDenied(text: string): boolean {
  return /unauthorized|no basic auth|authentication required|denied/i.test(text);
}

function deniedHint(login: RegistryLogin | undefined): string {
  return login === undefined
    ? " (the workspace has no credential for this registry: `sallyport registry login`)"
    : ` (with the workspace's credential of ${login.username})`;
}

function textOf(json: unknown): string | undefined {
  const message: unknown = typeof json === "object" && json !== null && "message" in json ? json.message : undefined;
  return typeof message === "string" ? message : undefined;
}

/** Takes out the credential in each form in which it may come back, and what names the engine's own files. */
function scrubbed(text: string, login: RegistryLogin | undefined): string {
  let result = text.replace(/(https?:\/\/)[^/@\s]+@/g, "$1");
  const { username = "", password = "" } = login ?? {};
  const secrets = [password, Buffer.from(`${username}:${password}`).toString("base64"), encodeURIComponent(password)];
  for (const secret of secrets)
    if (login !== undefined && secret !== "") result = result.replaceAll(secret, "[secret]");
  return result.replace(/\/[^\s:"']*\/(?:data|exec)\/[^\s:"']*/g, "[engine]");
}
