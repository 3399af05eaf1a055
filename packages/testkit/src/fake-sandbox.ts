// A sandbox of the fake platform: its description, its processes, its events.
import { EventEmitter } from "node:events";
import type { CreateSandboxRequest, DeclaredPort, Sandbox, SandboxEvent } from "@sallyport/contracts";
import { ENTRYPOINT_EXEC_ID, EndReason, PortKind, SandboxState } from "@sallyport/contracts";
import { FakeFiles } from "./fake-files.ts";
import { FakeProcess } from "./fake-process.ts";

/** A sandbox of the fake platform. */
export class FakeSandbox extends EventEmitter {
  readonly processes: Map<string, FakeProcess> = new Map();
  readonly view: Sandbox;
  readonly request: CreateSandboxRequest;
  readonly ioTokens: Set<string> = new Set();
  readonly fs: FakeFiles = new FakeFiles();

  /** Emits "change" with each. */
  readonly events: SandboxEvent[] = [];

  constructor(id: string, request: CreateSandboxRequest) {
    super();
    this.request = request;
    this.view = {
      id,
      appId: "ap-00000000000000000000000001",
      appName: request.appName ?? "default",
      image: request.image ?? "default",
      state: SandboxState.RUNNING,
      createdAt: new Date(),
      startedAt: new Date(),
      cpuMillis: request.cpuMillis ?? 1_000,
      memoryMib: request.memoryMib ?? 512,
      lifetimeMs: request.lifetimeMs ?? 3_600_000,
      command: request.command,
      network: request.network ?? { mode: { $case: "open", value: {} } },
      unreachable: false,
      tags: request.tags,
      diskMib: request.diskMib ?? 1_024,
      asleep: false,
      name: request.name,
      idleTimeoutMs: request.idleTimeoutMs,
      sleepAfterMs: request.sleepAfterMs,
      dns: request.dns,
      networkGeneration: 1,
      networkPending: false,
      ports: declaredIn(request),
      inboundCidrAllowlist: request.inboundCidrAllowlist,
    };
    this.tell("created", { image: this.view.image });
    if (request.command === undefined) return;
    const entrypoint = new FakeProcess(request.command.argv, request.env, true);
    this.processes.set(ENTRYPOINT_EXEC_ID, entrypoint);
    const follow = () => {
      if (entrypoint.outcome !== undefined) this.end(entrypoint.outcome);
    };
    entrypoint.on("change", follow);
    follow();
  }

  tell(type: string, detail: Record<string, unknown> = {}): void {
    this.events.push({ seq: this.events.length + 1, at: new Date(), type, detail });
    this.emit("change");
  }

  end(outcome: NonNullable<Sandbox["outcome"]>): void {
    if (this.view.state === SandboxState.ENDED) return;
    this.view.state = SandboxState.ENDED;
    this.view.outcome = outcome;
    this.view.endedAt = new Date();
    for (const process of this.processes.values()) process.end({ reason: EndReason.TERMINATED, exitCode: 137 });
    this.tell("ended", { exitCode: outcome.exitCode });
  }
}

function declaredIn(request: CreateSandboxRequest): DeclaredPort[] {
  const of = (ports: readonly number[], kind: PortKind) =>
    ports.map((port) => ({ port, kind, proxyProtocol: request.proxyProtocolPorts.includes(port) }));
  const { encryptedPorts, h2Ports, unencryptedPorts } = request;
  return [...of(encryptedPorts, PortKind.TLS), ...of(h2Ports, PortKind.H2), ...of(unencryptedPorts, PortKind.RAW)];
}
