// create → first output, and exec of `true`, through the SDK; beside runsc alone and beside Docker with the same runtime.
import { defaultImage, sallyportPaths, usableRunsc } from "@sallyport/host";
import { Client, Sandbox } from "@sallyport/sdk";
import { startPlatform } from "@sallyport/testkit/platform";
import { startDockerPeer } from "./docker-peer.ts";
import { startRunscPeer } from "./runsc-peer.ts";
import type { Result } from "./stats.ts";
import { compare, timed } from "./stats.ts";

const CREATE_ROUNDS = 15;
const EXEC_ROUNDS = 60;
/** Between two creates: each leaves work behind (a container taken away, a slot made ahead) that is not the next one's. */
const SETTLE_MS = 700;

export async function benchCreate(say: (line: string) => void): Promise<Result[]> {
  await using stack = new AsyncDisposableStack();
  const paths = sallyportPaths();
  const { path: runsc } = await usableRunsc(paths);
  const { rootfs } = await defaultImage(paths);
  say("starting a platform, runsc and a Docker engine beside it");
  const platform = stack.use(await startPlatform());
  const { token } = await platform.createWorkspace("bench");
  const client = stack.use(new Client({ url: platform.apiUrl, token }));
  const alone = stack.use(await startRunscPeer(runsc, rootfs));
  const docker = await startDockerPeer(runsc, rootfs, say);
  if (docker !== undefined) stack.use(docker);

  const create = { ours: [] as number[], runsc: [] as number[], docker: [] as number[] };
  const ourCreate = async () => {
    const sandbox = await Sandbox.create(["echo", "hi"], { client });
    const { value } = await sandbox.stdout.getReader().read();
    if (value === undefined || Buffer.from(value).toString() !== "hi\n") throw new Error("no output");
    return sandbox;
  };
  for (let round = 0; round <= CREATE_ROUNDS; round += 1) {
    if (round % 5 === 0) say(`create: round ${round} of ${CREATE_ROUNDS}`);
    let created: Sandbox | undefined;
    const ours = await timed(async () => {
      created = await ourCreate();
    });
    await created?.terminate();
    await settle();
    const runscMs = await timed(() => alone.create());
    await settle();
    const dockerMs = docker === undefined ? undefined : await timed(() => docker.create());
    await settle();
    if (round === 0) continue; // warm-up
    create.ours.push(ours);
    create.runsc.push(runscMs);
    if (dockerMs !== undefined) create.docker.push(dockerMs);
  }

  const exec = { ours: [] as number[], runsc: [] as number[], docker: [] as number[] };
  await using resident = await Sandbox.create({ client });
  say(`exec: ${EXEC_ROUNDS} rounds`);
  for (let round = 0; round <= EXEC_ROUNDS; round += 1) {
    const ours = await timed(() => resident.run(["true"], { check: true }));
    const runscMs = await timed(() => alone.exec());
    const dockerMs = docker === undefined ? undefined : await timed(() => docker.exec());
    if (round === 0) continue; // warm-up
    exec.ours.push(ours);
    exec.runsc.push(runscMs);
    if (dockerMs !== undefined) exec.docker.push(dockerMs);
  }
  const or = (samples: readonly number[]) => (samples.length === 0 ? undefined : samples);
  return [
    compare("create", create.ours, "docker run --rm, same runtime", or(create.docker), 0.35),
    compare("create/runsc", create.ours, "runsc run, same bundle", create.runsc, null),
    compare("exec", exec.ours, "docker exec, same runtime", or(exec.docker), 0.25),
    compare("exec/runsc", exec.ours, "runsc exec", exec.runsc, null),
  ];
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}
