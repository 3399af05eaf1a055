// All WebSockets that are open: how many each sandbox may have, and their end when a token does not hold any more.
import type { ConnectGrant } from "@sallyport/connect-token/verify";
import type { GrantWatch } from "./exchange.ts";
import { concerns } from "./grant-change.ts";
import type { CoreLimits } from "./limits.ts";
import { Places } from "./upstream/places.ts";
import { GOING_AWAY, POLICY_VIOLATION } from "./websocket/close-frame.ts";
import type { SpliceOptions } from "./websocket/splice.ts";
import { Splice } from "./websocket/splice.ts";

export interface WebSocketsOptions {
  readonly watch: GrantWatch;
  readonly limits: Pick<CoreLimits, "maxWebSockets" | "maxWebSocketsPerSandbox">;
  /** Let them live when their token does not. */
  readonly keepWebSockets?: boolean | undefined;
}

/** How often is looked for tokens that have expired: with the close frame's time, within a second. */
const LOOK_MS = 250;
/** What a client is told. */
const REASONS: Readonly<Record<string, string>> = {
  Expired: "the connect token has expired",
  Revoked: "the connect token is revoked",
  SandboxEnded: "the sandbox has ended",
};
const DEFAULT_REASON = "the connect token does not hold any more";

/** Disposal cuts them all. */
export class WebSockets implements Disposable {
  readonly #options: WebSocketsOptions;
  readonly #places: Places;
  readonly #open = new Set<Splice>();
  readonly #timer: NodeJS.Timeout;
  readonly #changes: Disposable;
  #isDraining = false;

  constructor(options: WebSocketsOptions) {
    const { limits, watch } = options;
    this.#options = options;
    this.#places = new Places(limits.maxWebSocketsPerSandbox, limits.maxWebSockets);
    this.#timer = setInterval(() => this.#checkThose((grant) => grant.expiresAtMs <= Date.now()), LOOK_MS);
    this.#timer.unref();
    this.#changes = watch.onChange((change) => this.#checkThose((grant) => concerns(change, grant)));
  }

  get size(): number {
    return this.#open.size;
  }

  /** Room for one more of this sandbox's, from its handshake to its end; undefined: there is none. */
  take(sandboxId: string): Disposable | undefined {
    if (!this.#places.take(sandboxId)) return undefined;
    let isTaken = true;
    return {
      [Symbol.dispose]: () => {
        if (isTaken) this.#places.leave(sandboxId);
        isTaken = false;
      },
    };
  }

  /** Joins a client and an app whose handshake is done. */
  splice(options: SpliceOptions): void {
    const splice: Splice = new Splice({
      ...options,
      onOver: (end) => {
        this.#open.delete(splice);
        options.onOver(end);
      },
    });
    this.#open.add(splice);
    splice.start();
    if (this.#isDraining) closeForRestart(splice);
    else this.#check(splice);
  }

  /** Ends them: clients may come again, to another process. */
  drain(): void {
    this.#isDraining = true;
    for (const splice of this.#open) closeForRestart(splice);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#changes[Symbol.dispose]();
    for (const splice of this.#open) splice.destroy();
  }

  #checkThose(which: (grant: ConnectGrant) => boolean): void {
    for (const splice of this.#open) if (which(splice.grant)) this.#check(splice);
  }

  #check(splice: Splice): void {
    const problem = this.#options.watch.grantProblem(splice.grant);
    if (problem === undefined) return;
    if (this.#options.keepWebSockets === true && problem !== "SandboxEnded") return;
    const status = problem === "SandboxEnded" ? GOING_AWAY : POLICY_VIOLATION;
    splice.close(status, REASONS[problem] ?? DEFAULT_REASON, problem);
  }
}

function closeForRestart(splice: Splice): void {
  splice.close(GOING_AWAY, "the proxy is stopping", "ShuttingDown");
}
