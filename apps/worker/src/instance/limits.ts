// An instance's limits, as the kernel's counts tell of them: looked at every few seconds, and once more at the end.
import type { LimitCounters, SandboxRuntime } from "../runtime/runtime.ts";
import { isFull, type LimitEvent, type LimitLook, LimitWatch } from "./limit-watch.ts";
import { OomSamples } from "./oom-samples.ts";
import type { EndEvidence } from "./outcome.ts";
import type { InstanceSpec } from "./record.ts";

export class Limits {
  readonly #runtime: Pick<SandboxRuntime, "counters" | "diskUse">;
  readonly #watch: LimitWatch;
  readonly #samples = new OomSamples();

  /** `isFresh`: no earlier worker has looked at it. */
  constructor(runtime: Pick<SandboxRuntime, "counters" | "diskUse">, isFresh: boolean) {
    this.#runtime = runtime;
    this.#watch = new LimitWatch(isFresh);
  }

  /** What happened since the last look. */
  async sample(containerId: string, spec: InstanceSpec): Promise<LimitEvent[]> {
    const look = await this.#look(containerId);
    this.#samples.add(look.counters.oomKills);
    return this.#watch.look(look, spec);
  }

  /** To be asked before the sandbox is destroyed. */
  async evidence(containerId: string): Promise<EndEvidence> {
    const { counters, disk } = await this.#look(containerId);
    return {
      pidsRefusals: counters.pidsRefusals,
      recentOomKills: this.#samples.recent(counters.oomKills),
      isDiskFull: isFull(disk),
    };
  }

  async #look(containerId: string): Promise<LimitLook & { readonly counters: LimitCounters }> {
    const [counters, disk] = await Promise.all([
      this.#runtime.counters(containerId),
      this.#runtime.diskUse(containerId),
    ]);
    return { counters, disk };
  }
}
