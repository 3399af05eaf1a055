// exec of `true` until its exit code is there, in a sandbox that runs.
import { Sandbox } from "@sallyport/sdk";
import { execByApi } from "./docker-api.ts";
import type { Room } from "./room.ts";
import type { Result } from "./stats.ts";
import { compare, timed } from "./stats.ts";

const ROUNDS = 60;

export async function benchExec({ say, signal, ours, runsc, docker }: Room): Promise<Result[]> {
  await using resident = await Sandbox.create({ client: ours.client });
  const samples = { ours: [] as number[], runsc: [] as number[], docker: [] as number[], api: [] as number[] };
  const turns: (readonly [number[], () => Promise<unknown>])[] = [
    [samples.ours, () => resident.run(["true"], { check: true })],
    [samples.runsc, () => runsc.exec()],
  ];
  if (docker !== undefined) {
    turns.push([samples.docker, () => docker.exec()], [samples.api, () => execByApi(docker)]);
  }
  say(`exec: ${ROUNDS} rounds`);
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [into, exec] of turns) {
      signal.throwIfAborted();
      const ms = await timed(exec);
      if (round > 0) into.push(ms); // the first is warm-up
    }
  }
  const common = { unit: "ms", ours: samples.ours } as const;
  return [
    compare({ ...common, name: "exec", peerName: "docker exec, same runtime", peer: samples.docker, target: 0.15 }),
    compare({ ...common, name: "exec/docker-api", peerName: "Docker's API, no command line", peer: samples.api }),
    compare({ ...common, name: "exec/runsc", peerName: "runsc exec", peer: samples.runsc }),
  ];
}
