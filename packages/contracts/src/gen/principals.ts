// Generated from proto/ by scripts/generate.js. Not to be edited.
import type { PrincipalKind } from "../principals.ts";

/** Who may call each method, as proto/ declares it. What is not listed is refused. */
export const METHOD_PRINCIPALS: Readonly<Record<string, readonly PrincipalKind[]>> = {
  "/sallyport.v1.AdminService/CreateWorkspace": [
    "operator"
  ],
  "/sallyport.v1.AdminService/ListWorkspaces": [
    "operator"
  ],
  "/sallyport.v1.AdminService/CreateApiToken": [
    "operator"
  ],
  "/sallyport.v1.AdminService/ListApiTokens": [
    "operator"
  ],
  "/sallyport.v1.AdminService/RevokeApiToken": [
    "operator"
  ],
  "/sallyport.v1.AdminService/GetPlatformStatus": [
    "operator"
  ],
  "/sallyport.v1.AppService/LookupApp": [
    "workspace"
  ],
  "/sallyport.v1.GatewayControlService/AttachInstance": [
    "worker"
  ],
  "/sallyport.v1.GatewayControlService/StartEntrypoint": [
    "worker"
  ],
  "/sallyport.v1.GatewayControlService/OpenInstance": [
    "worker"
  ],
  "/sallyport.v1.GatewayControlService/DetachInstance": [
    "worker"
  ],
  "/sallyport.v1.GatewayControlService/WatchInstances": [
    "worker"
  ],
  "/sallyport.v1.GatewayService/WatchKeys": [
    "gateway"
  ],
  "/sallyport.v1.SandboxIO/StartExec": [
    "io_grant"
  ],
  "/sallyport.v1.SandboxIO/ReadOutput": [
    "io_grant"
  ],
  "/sallyport.v1.SandboxIO/WriteInput": [
    "io_grant"
  ],
  "/sallyport.v1.SandboxIO/WaitExec": [
    "io_grant"
  ],
  "/sallyport.v1.SandboxIO/SignalExec": [
    "io_grant"
  ],
  "/sallyport.v1.SandboxIO/ResizeExec": [
    "io_grant"
  ],
  "/sallyport.v1.SandboxService/CreateSandbox": [
    "workspace"
  ],
  "/sallyport.v1.SandboxService/GetSandbox": [
    "workspace"
  ],
  "/sallyport.v1.SandboxService/ListSandboxes": [
    "workspace"
  ],
  "/sallyport.v1.SandboxService/WaitSandbox": [
    "workspace"
  ],
  "/sallyport.v1.SandboxService/TerminateSandbox": [
    "workspace"
  ],
  "/sallyport.v1.SandboxService/GetIoAccess": [
    "workspace"
  ],
  "/sallyport.v1.WorkerService/WatchDesired": [
    "worker"
  ],
  "/sallyport.v1.WorkerService/ReportInstances": [
    "worker"
  ]
};
