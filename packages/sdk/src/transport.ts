// Connections of one client: one channel to the api, one to each gateway.
import { rootCertificates } from "node:tls";
import type { Channel, ChannelCredentials, ClientOptions as GrpcClientOptions } from "@grpc/grpc-js";
import { credentials, Metadata } from "@grpc/grpc-js";
import { AUTHORIZATION_KEY } from "@sallyport/contracts";
import type { GrpcCallOptions } from "@sallyport/contracts/grpc";
import {
  AdminServiceClient,
  AppServiceClient,
  ImageServiceClient,
  SandboxIOClient,
  SandboxServiceClient,
  WorkspaceServiceClient,
} from "@sallyport/contracts/grpc";
import { Channels } from "./channels.ts";
import type { ClientConfig } from "./config.ts";
import { isLoopback } from "./config.ts";
import type { ConnectDoor } from "./connect-door.ts";
import { openDoor } from "./connect-door.ts";
import { sdkError } from "./errors.ts";
import type { RetryLimits } from "./retry.ts";
import { Attempt, DEFAULT_OUTAGE_MS, Outage, persist } from "./retry.ts";
import { Scope } from "./scope.ts";
import { readFailure } from "./translate.ts";

/** An api that has never answered is more likely misspelt than restarting. */
const NEVER_SEEN_OUTAGE_MS = 5_000;
/** Longest single attempt of a call that does not wait for anything. */
const QUICK_ATTEMPT_MS = 15_000;

/** The stubs of the api. */
export interface ApiStubs {
  readonly sandboxes: SandboxServiceClient;
  readonly apps: AppServiceClient;
  readonly images: ImageServiceClient;
  readonly workspaces: WorkspaceServiceClient;
  /** Nearly all of it is the operator's. */
  readonly admin: AdminServiceClient;
}

/** How a call of the api is made. */
export interface ApiCallLimits {
  /** Longest single attempt, in milliseconds; for calls that wait on the server. */
  readonly maxAttemptMs?: number;
  readonly isFinal?: RetryLimits["isFinal"];
}

type StubConstructor<Stub> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: Partial<GrpcClientOptions>,
) => Stub;

/** All that a client is connected to. */
export class Connections {
  readonly #config: ClientConfig;
  readonly #credentials: ChannelCredentials;
  readonly #closed = new AbortController();
  readonly #channels: Channels;
  readonly #gateways = new Map<string, { readonly channel: Channel; readonly stub: SandboxIOClient }>();
  readonly #background = new Set<Promise<void>>();
  readonly #doors = new Map<string, Promise<ConnectDoor>>();
  #api: { readonly channel: Channel; readonly stubs: ApiStubs } | undefined;
  #apiSeen = false;

  constructor(config: ClientConfig) {
    this.#config = config;
    this.#credentials = config.roots === undefined ? credentials.createInsecure() : credentials.createSsl(config.roots);
    this.#channels = new Channels(this.#credentials);
  }

  /** Aborted when the client is closed. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Whether the api has ever answered. */
  get apiSeen(): boolean {
    return this.#apiSeen;
  }

  /** Makes a call of the api that bears repetition, through outages, within the scope. */
  callApi<T>(
    scope: Scope,
    call: (api: ApiStubs, options: GrpcCallOptions) => Promise<T>,
    limits: ApiCallLimits = {},
  ): Promise<T> {
    return persist(
      scope,
      {
        outageMs: () => this.#outageMs(),
        maxAttemptMs: limits.maxAttemptMs ?? QUICK_ATTEMPT_MS,
        isFinal: limits.isFinal,
      },
      async (attempt) => call(this.#stubs(), this.#apiOptions(attempt)),
    );
  }

  /** Reads a stream of the api to its end; after a break `open` is called again, and goes on where its reader is. */
  async *streamApi<T>(
    scope: Scope,
    open: (api: ApiStubs, options: GrpcCallOptions) => AsyncIterable<T>,
  ): AsyncGenerator<T, void> {
    const outage = new Outage(() => this.#outageMs());
    for (;;) {
      scope.throwIfOver();
      const attempt = new Attempt(scope, Number.POSITIVE_INFINITY);
      try {
        for await (const message of open(this.#stubs(), this.#apiOptions(attempt))) {
          outage.over();
          yield message;
        }
        return;
      } catch (error) {
        await outage.ride(readFailure(error, scope), attempt);
      }
    }
  }

  #outageMs(): number {
    return this.#apiSeen ? DEFAULT_OUTAGE_MS : NEVER_SEEN_OUTAGE_MS;
  }

  #apiOptions(attempt: Attempt): GrpcCallOptions {
    const { onHeaders, ...options } = attempt.options;
    const seen = () => {
      this.#apiSeen = true;
      onHeaders?.();
    };
    return { ...options, onHeaders: seen, metadata: bearer(this.#config.token) };
  }

  /** SandboxIO of the gateway at this address, which the api named. */
  gateway(address: string): SandboxIOClient {
    if (this.#config.roots === undefined && !isLoopback(address.replace(/:\d+$/, ""))) {
      throw sdkError(
        "FailedPrecondition",
        `the gateway ${address} is on another machine, and the connection would be plaintext`,
        {
          hint: "reach the platform by https://",
        },
      );
    }
    const channel = this.#channels.get(address);
    const known = this.#gateways.get(address);
    if (known?.channel === channel) return known.stub;
    const stub = this.#stub(SandboxIOClient, address, channel);
    this.#gateways.set(address, { channel, stub });
    return stub;
  }

  /**
   * How to reach sandboxes whose certificates `caPem` vouches for; where it is empty, the runtime's authorities do, and those
   * that the user named. One for all sandboxes, and one for all servers of HTTP/2.
   */
  door(caPem: string, http2 = false): Promise<ConnectDoor> {
    const key = `${http2} ${caPem}`;
    let door = this.#doors.get(key);
    if (door === undefined) {
      const named = this.#config.namedRoots?.toString();
      const ca = caPem !== "" ? [caPem] : named === undefined ? undefined : [...rootCertificates, named];
      door = openDoor({ ca, http2, closed: this.closed });
      this.#doors.set(key, door);
    }
    return door;
  }

  /** Work that goes on after a call has ended; closing the client waits for it. It must not reject. */
  inBackground(work: Promise<void>): void {
    this.#background.add(work);
    void work.finally(() => this.#background.delete(work));
  }

  async close(): Promise<void> {
    if (!this.#closed.signal.aborted) this.#closed.abort(sdkError("Cancelled", "the client was closed"));
    // Aborted creates clean up after themselves, which takes the api once more.
    while (this.#background.size > 0) await Promise.all(this.#background);
    this.#channels.close();
    for (const door of await Promise.allSettled(this.#doors.values())) {
      if (door.status === "fulfilled") await door.value.close();
    }
    this.#doors.clear();
    this.#gateways.clear();
    this.#api = undefined;
  }

  #stubs(): ApiStubs {
    const { address } = this.#config;
    const channel = this.#channels.get(address);
    if (this.#api?.channel === channel) return this.#api.stubs;
    const stubs = {
      sandboxes: this.#stub(SandboxServiceClient, address, channel),
      apps: this.#stub(AppServiceClient, address, channel),
      images: this.#stub(ImageServiceClient, address, channel),
      workspaces: this.#stub(WorkspaceServiceClient, address, channel),
      admin: this.#stub(AdminServiceClient, address, channel),
    };
    this.#api = { channel, stubs };
    return stubs;
  }

  #stub<Stub>(StubOf: StubConstructor<Stub>, address: string, channel: Channel): Stub {
    return new StubOf(address, this.#credentials, { channelOverride: channel });
  }
}

/** Metadata that proves the caller. */
export function bearer(token: string): Metadata {
  const metadata = new Metadata();
  metadata.set(AUTHORIZATION_KEY, `Bearer ${token}`);
  return metadata;
}

/** A scope that ends with the client. */
export function scopeOf(
  what: string,
  options: ConstructorParameters<typeof Scope>[1],
  connections: Connections,
  defaultTimeoutMs?: number,
): Scope {
  return new Scope(what, options, [connections.closed], defaultTimeoutMs);
}
