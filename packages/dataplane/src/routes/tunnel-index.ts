// Declared ports of living sandboxes by what a client names: the label of a host, or a public port.
import type { Route, TunnelRoute } from "./route.ts";

/** A declared port, and the sandbox that has it. */
export interface TunnelWay {
  readonly sandboxId: string;
  readonly tunnel: TunnelRoute;
}

export class TunnelIndex {
  readonly #byLabel = new Map<string, TunnelWay>();
  readonly #byPublicPort = new Map<number, TunnelWay>();

  byLabel(label: string): TunnelWay | undefined {
    return this.#byLabel.get(label);
  }

  byPublicPort(port: number): TunnelWay | undefined {
    return this.#byPublicPort.get(port);
  }

  /** Every public port that leads somewhere. */
  publicPorts(): Iterable<number> {
    return this.#byPublicPort.keys();
  }

  /** Adds those of a route, unless it has ended. A port that comes back goes from the sandbox before to this one. */
  add({ sandboxId, state, tunnels = [] }: Route): void {
    if (state === "ended") return;
    for (const tunnel of tunnels) {
      const way = { sandboxId, tunnel };
      this.#byLabel.set(tunnel.label, way);
      if (tunnel.publicPort !== undefined) this.#byPublicPort.set(tunnel.publicPort, way);
    }
  }

  /** Takes out those that are still this route's. */
  remove({ sandboxId, tunnels = [] }: Route): void {
    for (const { label, publicPort } of tunnels) {
      if (this.#byLabel.get(label)?.sandboxId === sandboxId) this.#byLabel.delete(label);
      if (publicPort === undefined) continue;
      if (this.#byPublicPort.get(publicPort)?.sandboxId === sandboxId) this.#byPublicPort.delete(publicPort);
    }
  }

  clear(): void {
    this.#byLabel.clear();
    this.#byPublicPort.clear();
  }
}
