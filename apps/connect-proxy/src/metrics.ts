// What the proxy counts, as Prometheus reads it (text format 0.0.4). Labels come from closed lists of ours: no token, no
// sandbox, nothing that a client could multiply.
import type { ExchangeEnd } from "./exchange.ts";

/** Upper bounds of answer times, in seconds. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;

/** Asked for when somebody reads. */
export interface Gauge {
  readonly name: string;
  readonly help: string;
  read(): number;
}

class Counter {
  readonly #name: string;
  readonly #help: string;
  /** By the label part as it is written. */
  readonly #values = new Map<string, number>();

  constructor(name: string, help: string) {
    this.#name = name;
    this.#help = help;
  }

  add(labels: string, by = 1): void {
    this.#values.set(labels, (this.#values.get(labels) ?? 0) + by);
  }

  text(): string {
    const lines = [...this.#values].map(([labels, value]) => `${this.#name}${labels} ${value}`);
    return [`# HELP ${this.#name} ${this.#help}`, `# TYPE ${this.#name} counter`, ...lines].join("\n");
  }
}

class Histogram {
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

export class Metrics {
  readonly #requests = new Counter("sallyport_connect_requests_total", "Exchanges that are over.");
  readonly #refusals = new Counter("sallyport_connect_refusals_total", "Answers of the proxy's own, by code.");
  readonly #bytes = new Counter("sallyport_connect_bytes_total", "Bytes of bodies and WebSockets.");
  readonly #door = new Counter("sallyport_connect_handshakes_refused_total", "Connections that ended before HTTP.");
  readonly #seconds = new Histogram("sallyport_connect_request_seconds", "From a request's head to the answer's end.");
  readonly #gauges: Gauge[] = [];
  /** By protocol, class of status and outcome: a text is made once for each of them. */
  readonly #labels = new Map<number, string>();

  gauge(gauge: Gauge): void {
    this.#gauges.push(gauge);
  }

  exchange(end: ExchangeEnd): void {
    this.#requests.add(this.#labelsOf(end));
    if (end.code !== undefined) this.#refusals.add(`{code="${end.code}"}`);
    if (end.inBytes > 0) this.#bytes.add('{direction="in"}', end.inBytes);
    if (end.outBytes > 0) this.#bytes.add('{direction="out"}', end.outBytes);
    // A WebSocket lasts as long as its ends like.
    if (end.protocol !== "websocket") this.#seconds.observe(end.ms / 1_000);
  }

  refusedAtDoor(reason: string): void {
    this.#door.add(`{reason="${reason}"}`);
  }

  /** Everything, as it stands. */
  text(): string {
    const gauges = this.#gauges.map(
      ({ help, name, read }) => `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name} ${read()}`,
    );
    const counted = [this.#requests, this.#refusals, this.#bytes, this.#door, this.#seconds].map((one) => one.text());
    return `${[...counted, ...gauges].join("\n")}\n`;
  }

  #labelsOf({ outcome, protocol, status }: ExchangeEnd): string {
    const key =
      (PROTOCOLS.indexOf(protocol) * OUTCOMES.length + OUTCOMES.indexOf(outcome)) * 10 + Math.floor(status / 100);
    let labels = this.#labels.get(key);
    if (labels === undefined) {
      const kind = status === 0 ? "none" : `${Math.floor(status / 100)}xx`;
      labels = `{protocol="${protocol}",status="${kind}",outcome="${outcome}"}`;
      this.#labels.set(key, labels);
    }
    return labels;
  }
}

const PROTOCOLS: readonly ExchangeEnd["protocol"][] = ["http/1.0", "http/1.1", "h2", "websocket"];
const OUTCOMES: readonly ExchangeEnd["outcome"][] = ["complete", "client-cut", "app-cut", "proxy-cut"];
