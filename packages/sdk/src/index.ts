// The names of @sallyport/sdk.

export type { AppLookupOptions } from "./app.ts";
export { App } from "./app.ts";
export { Client } from "./client.ts";
export type { ClientOptions } from "./config.ts";
export { profilePath } from "./config.ts";
export type {
  ConnectToken,
  ConnectTokenInfo,
  ConnectTokenOptions,
  Revocation,
} from "./connect-token.ts";
export type { CreateOptions, PtySize, SandboxInfo, SandboxStateName } from "./convert.ts";
export type { ErrorCode } from "./errors.ts";
export { SallyportError } from "./errors.ts";
export type { EventsOptions, SandboxEvent } from "./events.ts";
export type { ExitReason, ExitStatus, RunResult } from "./exit-status.ts";
export type { FileInfo, FileSystem, TransferOptions, WriteOptions } from "./file-system.ts";
export type { ForwardOptions, PortForward } from "./forward.ts";
export type { BuildOptions, RegistryInfo } from "./image.ts";
export { Image, Registry } from "./image.ts";
export type { ImageInfo, ImageStateName } from "./image-info.ts";
export type { Input, InputSource } from "./input.ts";
export type { Json } from "./json-value.ts";
export type { Explanation, ListOptions } from "./life-cycle.ts";
export type { LocalAuthority } from "./local-authority.ts";
export type { AllowRule, NetworkOption, NetworkPolicy } from "./network.ts";
export type { Output, OutputReadOptions } from "./output.ts";
export type { DeclaredPort, PortKindName, PortOptions } from "./ports.ts";
export type { ExecOptions, Process } from "./process.ts";
export type { ProcessInfo } from "./process-list.ts";
export { Sandbox } from "./sandbox.ts";
export type { CallOptions } from "./scope.ts";
export type { RunOptions } from "./start.ts";
export type { SocketAddress, Tunnel, Tunnels } from "./tunnel.ts";
export type { WorkspaceBounds, WorkspaceUsage } from "./usage.ts";
