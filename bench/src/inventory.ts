// Which processes are of which container, and which of the platform or engine around them.
import type { TestPlatform } from "@sallyport/testkit/platform";
import type { DockerEngine } from "./docker-engine.ts";
import type { ProcessFacts } from "./processes.ts";
import { allProcesses, isInEnvironment, memoryMiB } from "./processes.ts";

export interface Inventory {
  /** Processes of each container, its supervisor (conmon, shim) included. */
  readonly containers: ReadonlyMap<string, readonly number[]>;
  /** Processes that serve all of them. */
  readonly around: readonly number[];
}

/** What a platform runs. Containers that it holds ready for later creates are among the containers. */
export async function inventoryOf(platform: TestPlatform): Promise<Inventory> {
  const tag = (await platform.status()).platformId.slice(-8);
  const inside = (_id: string, facts: ProcessFacts) =>
    facts.cgroup.includes(`sallyport-${tag}/`) || names(facts, platform.home);
  return sort(/\b(?:bx|in)-[0-7][0-9a-hjkmnp-tv-z]{25}\b/, inside, platform.home);
}

/** What an engine runs: these containers of it. */
export function inventoryOfDocker({ directory }: DockerEngine, ids: readonly string[]): Inventory {
  const wanted = new Set(ids);
  const inside = (id: string) => wanted.has(id);
  return sort(/\b[0-9a-f]{64}\b/, inside, directory);
}

/** Memory of each container, in MiB. */
export function memoryOfEach({ containers }: Inventory): number[] {
  return Array.from(containers.values(), memoryMiB);
}

function sort(shape: RegExp, inside: (id: string, facts: ProcessFacts) => boolean, home: string): Inventory {
  const containers = new Map<string, number[]>();
  const around: number[] = [];
  for (const facts of allProcesses()) {
    const [id] = shape.exec(`${facts.cgroup}\n${facts.cmdline}`) ?? [];
    if (id !== undefined && inside(id, facts)) {
      const pids = containers.get(id) ?? [];
      pids.push(facts.pid);
      containers.set(id, pids);
    } else if (id === undefined && (names(facts, home) || isInEnvironment(facts, home))) {
      around.push(facts.pid);
    }
  }
  return { containers, around };
}

function names({ cmdline }: ProcessFacts, home: string): boolean {
  return cmdline.includes(home);
}
