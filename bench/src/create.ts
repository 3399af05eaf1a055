// create → first output: with a sandbox held ready and without, beside Docker with the same runtime and runsc alone; and
// what each costs the machine in CPU time.
import { Sandbox } from "@sallyport/sdk";
import { machineCpuMs } from "./processes.ts";
import type { Room, Side } from "./room.ts";
import { pause } from "./room.ts";
import type { Result } from "./stats.ts";
import { compare, timed } from "./stats.ts";

const ROUNDS = 15;
/** After each create: what it leaves to do (a container taken away, the next held ready) is not the next one's burden. */
const SETTLE_MS = 2_000;

interface Samples {
  readonly wallMs: number[];
  readonly cpuMs: number[];
}

export async function benchCreate(room: Room): Promise<Result[]> {
  const { say, signal, docker, runsc } = room;
  const none = (): Samples => ({ wallMs: [], cpuMs: [] });
  const samples = { ours: none(), cold: none(), runsc: none(), docker: none() };
  const turns: (readonly [Samples, () => Promise<number>])[] = [
    [samples.ours, () => createOn(room.ours)],
    [samples.runsc, () => timed(() => runsc.create())],
    [samples.cold, () => createOn(room.cold)],
  ];
  if (docker !== undefined) turns.push([samples.docker, () => timed(() => docker.create())]);
  for (let round = 0; round <= ROUNDS; round += 1) {
    if (round % 5 === 0) say(`create: round ${round} of ${ROUNDS}`);
    for (const [into, create] of turns) {
      const before = machineCpuMs();
      const wallMs = await create();
      await pause(SETTLE_MS, signal);
      if (round === 0) continue; // warm-up
      into.wallMs.push(wallMs);
      into.cpuMs.push(machineCpuMs() - before);
    }
  }
  const beside = (name: string, ours: readonly number[], peer: readonly number[], target?: number): Result =>
    compare({
      name,
      unit: "ms",
      ours,
      peerName: "docker run --rm, same runtime",
      peer,
      ...(target === undefined ? {} : { target }),
    });
  const besideRunsc = { unit: "ms", peerName: "runsc run, same bundle", peer: samples.runsc.wallMs } as const;
  return [
    beside("create", samples.ours.wallMs, samples.docker.wallMs, 0.3),
    beside("create/cold", samples.cold.wallMs, samples.docker.wallMs),
    compare({ name: "create/cold/runsc", ours: samples.cold.wallMs, ...besideRunsc }),
    beside("create/cpu", samples.ours.cpuMs, samples.docker.cpuMs),
    beside("create/cold/cpu", samples.cold.cpuMs, samples.docker.cpuMs),
  ];
}

async function createOn({ client }: Side): Promise<number> {
  let created: Sandbox | undefined;
  const ms = await timed(async () => {
    created = await Sandbox.create(["echo", "hi"], { client });
    const { value } = await created.stdout.getReader().read();
    if (value === undefined || Buffer.from(value).toString() !== "hi\n") throw new Error("no output");
  });
  await created?.terminate();
  return ms;
}
