// One image, made: pulled or built by the engine, exported, unpacked apart, kept by its content.
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import type { ImageDefaults, ImageSource } from "@sallyport/contracts";
import { checkDockerfile, parseImageReference } from "@sallyport/contracts/images";
import { MOUNT_POINTS } from "../runtime/runsc/spec.ts";
import type { EngineClient, ImageConfig, RegistryLogin } from "./docker.ts";
import { openEngineClient } from "./docker.ts";
import type { RunningEngine } from "./engine/process.ts";
import { ImageError } from "./errors.ts";
import { MAX_CONTEXT_BYTES, MAX_CONTEXT_ENTRIES, MAX_IMAGE_BYTES, MAX_IMAGE_ENTRIES } from "./limits.ts";
import type { ImageStore } from "./store.ts";
import { checkContextApart, unpackRootfsApart } from "./unpack/child.ts";
import type { RootfsResult } from "./unpack/rootfs.ts";

export interface MakeOptions {
  readonly source: ImageSource;
  readonly login: { readonly username: string; readonly password: string } | undefined;
  /** Builds share layers only within one. */
  readonly cacheScope: string;
  readonly engine: Pick<RunningEngine, "socket" | "archiveCgroupFiles">;
  readonly store: ImageStore;
  readonly readContext: (signal: AbortSignal) => AsyncIterable<Uint8Array>;
  readonly onLog: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface MadeImage {
  readonly digest: string;
  readonly size: number;
  readonly defaults: ImageDefaults;
}

/** Throws ImageError, or the signal's reason. */
export async function makeImage(options: MakeOptions): Promise<MadeImage> {
  const { source, signal, onLog } = options;
  const client = await openEngineClient({ socket: options.engine.socket, signal, onLog });
  const id = await idOf(client, source, options);
  const config = await client.inspect(id);
  if (config.size > MAX_IMAGE_BYTES) {
    throw new ImageError("Refused", `the image has more than ${MAX_IMAGE_BYTES / 1024 ** 3} GiB`);
  }
  onLog("exporting the file system\n");
  const { result } = await exported(client, config, options);
  onLog(`done: ${result.digest}, ${Math.ceil(result.size / 1024 / 1024)} MiB in ${result.entries} files\n`);
  return {
    digest: result.digest,
    size: result.size,
    defaults: {
      env: environmentOf(config.env),
      workdir: config.workdir.startsWith("/") ? config.workdir : "/",
      uid: result.uid,
      gid: result.gid,
      command: [...config.command],
    },
  };
}

async function idOf(client: EngineClient, source: ImageSource, options: MakeOptions): Promise<string> {
  switch (source.source?.$case) {
    case "registryReference": {
      const reference = parseImageReference(source.source.value);
      if (reference === undefined) throw new ImageError("Refused", "the reference names no image");
      return client.pull(reference.canonical, loginFor(options, reference.registry));
    }
    case "dockerfile":
      return build(client, source.source.value, options);
    case undefined:
      throw new ImageError("Refused", "the image has no source");
  }
}

/** The credential is of one registry, and no other gets to see it. */
function loginFor({ login }: MakeOptions, registry: string): RegistryLogin | undefined {
  return login === undefined ? undefined : { ...login, registry };
}

async function build(
  client: EngineClient,
  { dockerfile, contextSize }: { readonly dockerfile: string; readonly contextSize: number },
  options: MakeOptions,
): Promise<string> {
  const checked = checkDockerfile(dockerfile);
  if (!checked.ok) throw new ImageError("Refused", `Dockerfile, line ${checked.line}: ${checked.problem}`);
  for (const line of checked.dropped) options.onLog(`${line}\n`);
  const registry = registryOf(checked.bases[0]);
  const ids = new Map<string, string>();
  for (const base of checked.bases) {
    const login = registryOf(base) === registry && registry !== undefined ? loginFor(options, registry) : undefined;
    const id = await client.pull(base, login);
    if ((await client.inspect(id)).hasTriggers) {
      throw new ImageError("Refused", `${base} has ONBUILD triggers, which have no meaning here`);
    }
    ids.set(base, id);
  }
  const dockerfileName = `.sallyport-dockerfile-${createHash("sha256").update(dockerfile).digest("hex").slice(0, 16)}`;
  const context = checkContextApart(
    Readable.from(contextSize > 0 ? options.readContext(options.signal) : []),
    {
      kind: "context",
      dockerfileName,
      dockerfile: scoped(checked.render(ids), options.cacheScope),
      hasContext: contextSize > 0,
      maxBytes: MAX_CONTEXT_BYTES,
      maxEntries: MAX_CONTEXT_ENTRIES,
    },
    { cgroupFiles: options.engine.archiveCgroupFiles, signal: options.signal },
  );
  const [built, read] = await Promise.allSettled([client.build(context.output, dockerfileName), context.done]);
  // A context that is refused breaks the build off: its own words are the ones that help.
  if (read.status === "rejected") throw read.reason;
  if (built.status === "rejected") throw built.reason;
  return built.value;
}

function registryOf(reference: string | undefined): string | undefined {
  return reference === undefined ? undefined : parseImageReference(reference)?.registry;
}

/** A label at the top of each stage: what one workspace has built is no cache of another's. */
function scoped(dockerfile: string, scope: string): string {
  const label = createHash("sha256").update(scope).digest("hex").slice(0, 32);
  return dockerfile.replace(/^FROM .*$/gm, (line) => `${line}\nLABEL sallyport.scope=${label}`);
}

async function exported(
  client: EngineClient,
  config: ImageConfig,
  { store, engine, signal }: MakeOptions,
): Promise<{ readonly result: RootfsResult }> {
  await using place = await store.begin();
  const { archive, done } = await client.exportRootfs(config.id);
  try {
    const job = {
      directory: place.rootfs,
      user: config.user,
      maxBytes: MAX_IMAGE_BYTES,
      maxEntries: MAX_IMAGE_ENTRIES,
      mountPoints: MOUNT_POINTS,
    };
    const result = await unpackRootfsApart(archive, job, { cgroupFiles: engine.archiveCgroupFiles, signal });
    await store.keep(place.rootfs, result.digest);
    return { result };
  } finally {
    archive.destroy();
    await done();
  }
}

/** Pairs of the image's Env; names that no environment of ours takes are left out. */
function environmentOf(env: readonly string[]): Record<string, string> {
  const pairs = env.map((text) => [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)] as const);
  return Object.fromEntries(
    pairs.filter(([name, value]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !value.includes("\0")),
  );
}
