// The connections that are open, by sandbox: cut when their sandbox is over, or lets them come no more.
import type { Socket } from "node:net";
import type { RouteTable } from "@sallyport/dataplane/routes";
import type { EndReason } from "./tunnel-end.ts";

export interface OpenConnection {
  readonly sandboxId: string;
  /** The client's TCP connection. */
  readonly transport: Socket;
  /** Whether the sandbox is still there for it. */
  mayStay(): boolean;
  /** At once, in the middle of whatever it does. */
  cut(reason: EndReason): void;
  /** Tells it to end when it can, if it can. */
  drain(): void;
}

export class Connections implements AsyncDisposable {
  readonly #bySandbox = new Map<string, Set<OpenConnection>>();
  readonly #byTransport = new Map<Socket, OpenConnection>();
  readonly #subscription: Disposable;
  #isDraining = false;
  #onEmpty: (() => void) | undefined;

  constructor(table: RouteTable) {
    this.#subscription = table.onChange(({ sandboxIds }) => {
      for (const sandboxId of sandboxIds) this.#look(sandboxId);
    });
  }

  get size(): number {
    return this.#byTransport.size;
  }

  /** Disposal takes it out. */
  add(connection: OpenConnection): Disposable {
    const { sandboxId, transport } = connection;
    this.#byTransport.set(transport, connection);
    const ofSandbox = this.#bySandbox.get(sandboxId) ?? new Set<OpenConnection>();
    this.#bySandbox.set(sandboxId, ofSandbox.add(connection));
    if (this.#isDraining) connection.drain();
    return {
      [Symbol.dispose]: () => {
        this.#byTransport.delete(transport);
        ofSandbox.delete(connection);
        if (ofSandbox.size === 0 && this.#bySandbox.get(sandboxId) === ofSandbox) this.#bySandbox.delete(sandboxId);
        if (this.#bySandbox.size === 0) this.#onEmpty?.();
      },
    };
  }

  /** Cuts the one over this TCP connection to make room; false: there is none. */
  shed(transport: Socket): boolean {
    const connection = this.#byTransport.get(transport);
    connection?.cut("shed");
    return connection !== undefined;
  }

  /** Tells those that are there, and those that still come. */
  drain(): void {
    this.#isDraining = true;
    for (const connection of this.#all()) connection.drain();
  }

  /** Cuts all that are left, and waits until they are taken out. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#subscription[Symbol.dispose]();
    if (this.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onEmpty = resolve;
    for (const connection of this.#all()) connection.cut("stopped");
    await promise;
  }

  #look(sandboxId: string): void {
    for (const connection of this.#bySandbox.get(sandboxId) ?? []) {
      if (!connection.mayStay()) connection.cut("revoked");
    }
  }

  #all(): OpenConnection[] {
    return [...this.#bySandbox.values()].flatMap((ofSandbox) => [...ofSandbox]);
  }
}
