// What an edge counts, as Prometheus reads it (text format 0.0.4). Labels come from closed lists of ours: no token, no
// sandbox, nothing that a client could multiply.

/** Upper bounds, in seconds. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

/** Asked for when somebody reads. */
export interface Gauge {
  readonly name: string;
  readonly help: string;
  read(): number;
}

export class Counter {
  readonly #name: string;
  readonly #help: string;
  /** By the label part as it is written. */
  readonly #values = new Map<string, number>();

  constructor(name: string, help: string) {
    this.#name = name;
    this.#help = help;
  }

  /** `labels`: as they are written, `{a="b"}`, or nothing. */
  add(labels: string, by = 1): void {
    this.#values.set(labels, (this.#values.get(labels) ?? 0) + by);
  }

  text(): string {
    const lines = [...this.#values].map(([labels, value]) => `${this.#name}${labels} ${value}`);
    return [`# HELP ${this.#name} ${this.#help}`, `# TYPE ${this.#name} counter`, ...lines].join("\n");
  }
}

export class Histogram {
  readonly #name: string;
  readonly #help: string;
  readonly #counts = new Float64Array(SECONDS.length + 1);
  #sum = 0;

  constructor(name: string, help: string) {
    this.#name = name;
    this.#help = help;
  }

  observe(seconds: number): void {
    let at = 0;
    while (at < SECONDS.length && seconds > (SECONDS[at] ?? 0)) at += 1;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += seconds;
  }

  text(): string {
    let below = 0;
    const buckets = [...SECONDS, "+Inf"].map((bound, at) => {
      below += this.#counts[at] ?? 0;
      return `${this.#name}_bucket{le="${bound}"} ${below}`;
    });
    const head = [`# HELP ${this.#name} ${this.#help}`, `# TYPE ${this.#name} histogram`];
    return [...head, ...buckets, `${this.#name}_sum ${this.#sum}`, `${this.#name}_count ${below}`].join("\n");
  }
}

/** A gauge with its help, as it stands. */
export function gaugeText({ help, name, read }: Gauge): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name} ${read()}`;
}
