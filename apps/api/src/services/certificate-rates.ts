// How many certificates are issued. A certificate costs a signature, and what makes edges ask is in the hands of tenants, who
// create sandboxes with many ports, and of strangers, who ask for hosts of sandboxes that there are not.
import { CERTIFICATE_RATE, STRANGE_CERTIFICATE_RATE, WORKSPACE_CERTIFICATE_RATE } from "../domain/limits.ts";
import { RateLimit } from "./rate-limit.ts";

/** More than have used up anything at the same time; what they had is forgotten then. */
const MAX_WORKSPACES = 1_024;

export class CertificateRates {
  readonly #nowMs: () => number;
  readonly #known: RateLimit;
  readonly #strange: RateLimit;
  readonly #byWorkspace = new Map<string, RateLimit>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#known = new RateLimit(CERTIFICATE_RATE, nowMs);
    this.#strange = new RateLimit(STRANGE_CERTIFICATE_RATE, nowMs);
  }

  /** Takes one for a host of this workspace; undefined: of nobody's. 0, or in how many milliseconds there may be one. */
  take(workspaceId: string | undefined): number {
    if (workspaceId === undefined) return this.#strange.take();
    return this.#ofWorkspace(workspaceId).take() || this.#known.take();
  }

  #ofWorkspace(workspaceId: string): RateLimit {
    const found = this.#byWorkspace.get(workspaceId);
    if (found !== undefined) return found;
    if (this.#byWorkspace.size >= MAX_WORKSPACES) this.#byWorkspace.clear();
    const fresh = new RateLimit(WORKSPACE_CERTIFICATE_RATE, this.#nowMs);
    this.#byWorkspace.set(workspaceId, fresh);
    return fresh;
  }
}
