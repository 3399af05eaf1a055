// A certificate per host from the platform's own authority, for the edge's own key: asked for ahead as routes appear,
// renewed before it ends, and asked for on the spot for whoever comes earlier.
import type { SecureContext } from "node:tls";
import { createSecureContext } from "node:tls";
import { fromGrpcError } from "@sallyport/appkit/errors";
import type { Logger } from "@sallyport/appkit/logger";
import type { EdgeServiceClient } from "@sallyport/contracts/grpc";
import { callUnary } from "@sallyport/contracts/grpc";
import type { Route, RouteTable, TableChange } from "@sallyport/dataplane/routes";
import type { CertificateStore, StoredCertificate } from "./certificate-store.ts";
import type { Certificates } from "./certificates.ts";
import { CertificateUnavailable } from "./certificates.ts";
import {
  ISSUE_MS,
  LOOK_AGAIN_MS,
  LOOK_AT_CERTIFICATES_MS,
  MAX_CONTEXTS,
  MAX_UNKNOWN_CONTEXTS,
  RENEWED_BEFORE_END,
  UNKNOWN_ISSUES_BURST,
  UNKNOWN_ISSUES_PER_SECOND,
} from "./edge-limits.ts";
import { IssueQueue } from "./issue-queue.ts";
import { LatestUsed } from "./latest-used.ts";
import { hostInLog } from "./log-text.ts";
import type { TicketKeys } from "./ticket-keys.ts";
import { TLS_SETTINGS } from "./tls-settings.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Which hosts an edge serves. */
export interface ServedHosts {
  /** Those that lead to a route's sandbox, in lower case. */
  ofRoute(route: Route): readonly string[];
  /** Whether a host leads to a route that is known. */
  isKnown(host: string): boolean;
}

export interface LocalCertificatesOptions {
  readonly store: CertificateStore;
  readonly client: EdgeServiceClient;
  readonly edgeId: string;
  readonly hosts: ServedHosts;
  readonly table: RouteTable;
  readonly now: () => number;
  /** Unset: sessions are resumed within one process, as long as a context lives. */
  readonly tickets?: TicketKeys | undefined;
  readonly logger: Logger;
}

/** What a context was made of. */
interface Ready {
  readonly context: SecureContext;
  readonly expiresAtMs: number;
}

export class LocalCertificates implements Certificates {
  readonly #options: LocalCertificatesOptions;
  readonly #ready = new LatestUsed<Ready>(MAX_CONTEXTS);
  /** Of hosts that are not known: whoever invents names displaces nobody else's. */
  readonly #unknown = new LatestUsed<Ready>(MAX_UNKNOWN_CONTEXTS);
  readonly #unknownIssues: TokenBucket;
  /** By sandbox: its hosts, as its route named them last. */
  readonly #hosts = new Map<string, readonly string[]>();
  readonly #queue: IssueQueue<Ready> = new IssueQueue((host) => this.#issue(host));
  readonly #stop = new AbortController();
  readonly #subscription: Disposable;
  readonly #turns: Disposable | undefined;
  readonly #look: NodeJS.Timeout;
  /** Another look before its time, since one that was asked for ahead did not come. */
  #nextLook: NodeJS.Timeout | undefined;
  #nextLookMs = LOOK_AGAIN_MS;

  constructor(options: LocalCertificatesOptions) {
    this.#options = options;
    this.#unknownIssues = new TokenBucket(UNKNOWN_ISSUES_BURST, UNKNOWN_ISSUES_PER_SECOND, options.now);
    this.#subscription = options.table.onChange((change) => this.#askAhead(change));
    this.#turns = options.tickets?.onTurn(() => {
      this.#ready.clear();
      this.#unknown.clear();
    });
    this.#look = setInterval(() => this.#lookAtAll(), LOOK_AT_CERTIFICATES_MS);
    this.#lookAtAll();
  }

  peek(host: string): SecureContext | undefined {
    const { now, store, tickets } = this.#options;
    tickets?.turn();
    const ready = this.#ready.get(host) ?? this.#unknown.get(host);
    if (ready !== undefined) return ready.expiresAtMs > now() ? ready.context : undefined;
    const stored = store.get(host);
    if (stored === undefined || stored.expiresAtMs <= now()) return undefined;
    return this.#makeReady(host, stored).context;
  }

  async contextFor(host: string): Promise<SecureContext> {
    const context = this.peek(host);
    if (context !== undefined) return context;
    if (!this.#options.hosts.isKnown(host) && !this.#unknownIssues.take()) {
      throw new CertificateUnavailable("too many certificates for unknown hosts");
    }
    const asked = this.#queue.ask(host, true);
    if (asked === undefined) throw new CertificateUnavailable("too many certificates are waited for");
    return (await asked).context;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#look);
    clearTimeout(this.#nextLook);
    this.#subscription[Symbol.dispose]();
    this.#turns?.[Symbol.dispose]();
    this.#stop.abort(new Error("the edge is stopping"));
    await this.#options.store[Symbol.asyncDispose]();
  }

  #askAhead({ sandboxIds }: TableChange): void {
    const { hosts, store, table } = this.#options;
    for (const sandboxId of sandboxIds) {
      const route = table.get(sandboxId);
      if (route === undefined) {
        for (const host of this.#hosts.get(sandboxId) ?? []) this.#forget(host);
        this.#hosts.delete(sandboxId);
        continue;
      }
      const named = hosts.ofRoute(route);
      this.#hosts.set(sandboxId, named);
      if (route.state === "ended") continue;
      for (const host of named) if (this.#mustAsk(store.get(host))) this.#askPatiently(host);
    }
  }

  /** Everything again: what failed, what must be renewed, what is over. */
  #lookAtAll(): void {
    const { hosts, store, table } = this.#options;
    this.#askAhead({ sandboxIds: new Set([...table.routes()].map(({ sandboxId }) => sandboxId)), keysChanged: false });
    if (table.revision === 0) return; // nothing is known, which is not that nothing is there
    for (const [host] of store.hosts()) if (!hosts.isKnown(host)) this.#forget(host);
  }

  #forget(host: string): void {
    this.#options.store.delete(host);
    this.#ready.delete(host);
  }

  #mustAsk(stored: StoredCertificate | undefined): boolean {
    if (stored === undefined) return true;
    const { expiresAtMs, issuedAtMs } = stored;
    return this.#options.now() > expiresAtMs - (expiresAtMs - issuedAtMs) * RENEWED_BEFORE_END;
  }

  #askPatiently(host: string): void {
    this.#queue.ask(host, false)?.then(
      () => {
        this.#nextLookMs = LOOK_AGAIN_MS;
      },
      (error: unknown) => this.#lookSoon(error, host),
    );
  }

  /** The api is away, or has had enough: later, and with growing pauses. */
  #lookSoon(error: unknown, host: string): void {
    if (this.#stop.signal.aborted || this.#nextLook !== undefined) return;
    const inMs = this.#nextLookMs;
    const fields = { err: error, host: hostInLog(host), inMs };
    this.#options.logger.warn(fields, "certificates do not come ahead; asked for again later");
    this.#nextLookMs = Math.min(inMs * 2, LOOK_AT_CERTIFICATES_MS);
    this.#nextLook = setTimeout(() => {
      this.#nextLook = undefined;
      this.#lookAtAll();
    }, inMs);
  }

  async #issue(host: string): Promise<Ready> {
    const { client, edgeId, now, store } = this.#options;
    const request = { edgeId, host, publicKey: store.publicKey };
    try {
      const options = { signal: this.#stop.signal, timeoutMs: ISSUE_MS };
      const { certificatePem } = await callUnary(client, client.issueCertificate, request, options);
      return this.#makeReady(host, store.put(host, certificatePem, now()));
    } catch (error) {
      throw new CertificateUnavailable(`no certificate for ${hostInLog(host)}`, { cause: fromGrpcError(error) });
    }
  }

  #makeReady(host: string, { expiresAtMs, pem }: StoredCertificate): Ready {
    const { store, tickets } = this.#options;
    const settings = { ...TLS_SETTINGS, ...tickets?.settingsFor(host) };
    const context = createSecureContext({ ...settings, cert: pem, key: store.privateKey });
    const ready = { context, expiresAtMs };
    if (this.#options.hosts.isKnown(host)) {
      this.#unknown.delete(host);
      this.#ready.set(host, ready);
    } else {
      this.#unknown.set(host, ready);
      if (this.#options.table.revision > 0) store.delete(host);
    }
    return ready;
  }
}
