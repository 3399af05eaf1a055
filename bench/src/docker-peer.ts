// The peer that is Docker with the same runtime, the same file system and the same limits.
import { run } from "./command.ts";
import type { DockerEngine } from "./docker-engine.ts";
import { haveDockerEngine, startDockerEngine } from "./docker-engine.ts";

export interface DockerPeer extends AsyncDisposable {
  readonly engine: DockerEngine;
  /** `docker run --rm` of `echo hi`, to the end as the user waits for it. */
  create(): Promise<void>;
  /** `docker exec` of `true`. */
  exec(): Promise<void>;
  /** Name of a container that idles, for commands in it; it is started when first asked for. */
  resident(): Promise<string>;
  /** `docker run -d` of one that idles; resolves with its id. */
  start(): Promise<string>;
  /** Takes containers away. */
  remove(ids: readonly string[]): Promise<void>;
}

const IMAGE = "spb:latest";
const LIMITS = ["--runtime=runsc", "--memory=512m", "--cpus=1", "--pids-limit=1024"];

/** Starts an engine with the file system as its image; undefined, with a word to `say`, when none can be had here. */
export async function startDockerPeer(
  runsc: string,
  rootfs: string,
  say: (line: string) => void,
): Promise<DockerPeer | undefined> {
  if (!(await haveDockerEngine(say))) return undefined;
  await using stack = new AsyncDisposableStack();
  try {
    const engine = stack.use(await startDockerEngine(runsc));
    await run("sh", ["-c", `tar -C '${rootfs}' -cf - . | ${engine.client.join(" ")} import - ${IMAGE}`]);
    return peerOn(engine, stack.move());
  } catch (error) {
    say(`the Docker engine does not work here (${String(error)}): the comparison is left out`);
    return undefined;
  }
}

function peerOn(engine: DockerEngine, running: AsyncDisposableStack): DockerPeer {
  const { docker } = engine;
  const start = async () => (await docker(["run", "-d", ...LIMITS, IMAGE, "sleep", "100000"])).trim();
  const remove = async (ids: readonly string[]) => {
    if (ids.length > 0) await docker(["rm", "-f", ...ids]);
  };
  let resident: Promise<string> | undefined; // not before it is needed: an idle systrap sandbox burns CPU
  const theResident = () => {
    resident ??= start();
    return resident;
  };
  return {
    engine,
    start,
    remove,
    resident: theResident,
    async create() {
      const output = await docker(["run", "--rm", ...LIMITS, IMAGE, "echo", "hi"]);
      if (!output.includes("hi")) throw new Error("no output");
    },
    async exec() {
      await docker(["exec", await theResident(), "true"]);
    },
    async [Symbol.asyncDispose]() {
      if (resident !== undefined) await remove([await resident]);
      await running.disposeAsync();
    },
  };
}
