// Certificates that are being asked for: one call per host, some at a time, those that a client waits for first.
import { MAX_ISSUES_IN_FLIGHT, MAX_ISSUES_WAITING } from "./edge-limits.ts";

type Issue<Result> = (host: string) => Promise<Result>;

interface Waiting<Result> {
  readonly promise: Promise<Result>;
  readonly start: () => void;
}

export class IssueQueue<Result> {
  readonly #issue: Issue<Result>;
  /** By host: under way, and waiting. */
  readonly #known = new Map<string, Promise<Result>>();
  #urgent: Waiting<Result>[] = [];
  #patient: Waiting<Result>[] = [];
  #inFlight = 0;

  constructor(issue: Issue<Result>) {
    this.#issue = issue;
  }

  /** How many wait for their turn. */
  get waiting(): number {
    return this.#urgent.length + this.#patient.length;
  }

  /** Asks for a host's certificate; undefined where too many wait already. */
  ask(host: string, isUrgent: boolean): Promise<Result> | undefined {
    const known = this.#known.get(host);
    if (known !== undefined) {
      if (isUrgent) this.#hurry(known);
      return known;
    }
    if (this.waiting >= MAX_ISSUES_WAITING) return undefined;
    const { promise, reject, resolve } = Promise.withResolvers<Result>();
    const start = () => {
      this.#inFlight += 1;
      this.#issue(host)
        .then(resolve, reject)
        .finally(() => {
          this.#known.delete(host);
          this.#inFlight -= 1;
          this.#startNext();
        });
    };
    this.#known.set(host, promise);
    (isUrgent ? this.#urgent : this.#patient).push({ promise, start });
    this.#startNext();
    return promise;
  }

  /** Somebody waits for it now. */
  #hurry(promise: Promise<Result>): void {
    const at = this.#patient.findIndex((one) => one.promise === promise);
    if (at !== -1) this.#urgent.push(...this.#patient.splice(at, 1));
  }

  #startNext(): void {
    while (this.#inFlight < MAX_ISSUES_IN_FLIGHT) {
      const next = this.#urgent.shift() ?? this.#patient.shift();
      if (next === undefined) return;
      next.start();
    }
  }
}
