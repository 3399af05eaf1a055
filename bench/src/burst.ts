// Many sandboxes asked for at once, until every one has answered.
import { Sandbox } from "@sallyport/sdk";
import type { DockerPeer } from "./docker-peer.ts";
import type { Room } from "./room.ts";
import type { Result } from "./stats.ts";
import { compare, timed } from "./stats.ts";

const COUNT = 50;
const TIMEOUT_MS = 300_000;

interface Burst {
  readonly allMs: number[];
  readonly eachMs: number[];
}

export async function benchBurst({ say, signal, ours, docker }: Room): Promise<Result[]> {
  say(`burst: ${COUNT} sandboxes at once`);
  const mine = await burst(async (sandboxes: Sandbox[]) => {
    const sandbox = await Sandbox.create({ client: ours.client, timeoutMs: TIMEOUT_MS, signal });
    sandboxes.push(sandbox);
    const { stdout } = await sandbox.run(["echo", "hi"], { check: true, timeoutMs: TIMEOUT_MS, signal });
    if (stdout !== "hi\n") throw new Error("no output");
  }, terminateAll);
  const theirs = docker === undefined ? { allMs: [], eachMs: [] } : await dockerBurst(docker, say);
  const common = { unit: "ms", peerName: `${COUNT} × docker run -d, docker exec` } as const;
  return [
    compare({ ...common, name: "burst", ours: mine.allMs, peer: theirs.allMs }),
    compare({ ...common, name: "burst/each", ours: mine.eachMs, peer: theirs.eachMs }),
  ];
}

async function dockerBurst(docker: DockerPeer, say: (line: string) => void): Promise<Burst> {
  say(`burst: ${COUNT} containers at once`);
  return burst(
    async (ids: string[]) => {
      const id = await docker.start();
      ids.push(id);
      const output = await docker.engine.docker(["exec", id, "echo", "hi"]);
      if (output !== "hi\n") throw new Error("no output");
    },
    (ids) => docker.remove(ids),
  );
}

/** Makes them all at once; whatever becomes of one, all that were made are taken away. */
async function burst<Made>(
  make: (made: Made[]) => Promise<void>,
  takeAway: (made: readonly Made[]) => Promise<void>,
): Promise<Burst> {
  const made: Made[] = [];
  const eachMs: number[] = [];
  let failure: { readonly error: unknown } | undefined;
  const one = async () => {
    try {
      eachMs.push(await timed(() => make(made)));
    } catch (error) {
      failure ??= { error };
    }
  };
  const allMs = await timed(() => Promise.all(Array.from({ length: COUNT }, one)));
  await takeAway(made);
  if (failure !== undefined) throw failure.error;
  return { allMs: [allMs], eachMs };
}

/** Ends sandboxes, some at a time. */
export async function terminateAll(sandboxes: readonly Sandbox[]): Promise<void> {
  const left = [...sandboxes];
  const work = async () => {
    for (let sandbox = left.pop(); sandbox !== undefined; sandbox = left.pop()) {
      await sandbox.terminate({ timeoutMs: TIMEOUT_MS });
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
}
