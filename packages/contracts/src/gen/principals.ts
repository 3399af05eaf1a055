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
  "/sallyport.v1.AdminService/SetWorkspaceQuota": [
    "operator"
  ],
  "/sallyport.v1.AdminService/SetWorkspaceTokenRules": [
    "operator"
  ],
  "/sallyport.v1.AdminService/GrantCidr": [
    "operator"
  ],
  "/sallyport.v1.AdminService/RevokeCidr": [
    "operator"
  ],
  "/sallyport.v1.AdminService/ListGrants": [
    "operator"
  ],
  "/sallyport.v1.AdminService/ListWorkers": [
    "operator"
  ],
  "/sallyport.v1.AdminService/DeclareWorkerLost": [
    "operator"
  ],
  "/sallyport.v1.AdminService/ListEdges": [
    "operator"
  ],
  "/sallyport.v1.AdminService/RotateConnectKey": [
    "operator"
  ],
  "/sallyport.v1.AdminService/ListConnectKeys": [
    "operator"
  ],
  "/sallyport.v1.AdminService/GetLocalAuthority": [
    "operator",
    "workspace"
  ],
  "/sallyport.v1.AppService/LookupApp": [
    "workspace"
  ],
  "/sallyport.v1.EdgeService/WatchRoutes": [
    "edge"
  ],
  "/sallyport.v1.EdgeService/AcknowledgeRoutes": [
    "edge"
  ],
  "/sallyport.v1.EdgeService/LeaveEdge": [
    "edge"
  ],
  "/sallyport.v1.EdgeService/PublishAssertionKey": [
    "edge"
  ],
  "/sallyport.v1.EdgeService/IssueCertificate": [
    "edge"
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
  "/sallyport.v1.GatewayControlService/SuspendInstance": [
    "worker"
  ],
  "/sallyport.v1.GatewayControlService/ResumeInstance": [
    "worker"
  ],
  "/sallyport.v1.GatewayControlService/WatchInstances": [
    "worker"
  ],
  "/sallyport.v1.GatewayService/WatchKeys": [
    "gateway"
  ],
  "/sallyport.v1.ImageService/CreateImage": [
    "workspace"
  ],
  "/sallyport.v1.ImageService/PutBuildContext": [
    "workspace"
  ],
  "/sallyport.v1.ImageService/GetImage": [
    "workspace"
  ],
  "/sallyport.v1.ImageService/ListImages": [
    "workspace"
  ],
  "/sallyport.v1.ImageService/WatchImage": [
    "workspace"
  ],
  "/sallyport.v1.ImageService/CancelImage": [
    "workspace"
  ],
  "/sallyport.v1.ImageService/DeleteImage": [
    "workspace"
  ],
  "/sallyport.v1.ImageService/SetRegistryCredential": [
    "workspace"
  ],
  "/sallyport.v1.ImageService/ListRegistryCredentials": [
    "workspace"
  ],
  "/sallyport.v1.ImageService/DeleteRegistryCredential": [
    "workspace"
  ],
  "/sallyport.v1.SandboxIO/StartExec": [
    "io_grant"
  ],
  "/sallyport.v1.SandboxIO/RunExec": [
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
  "/sallyport.v1.SandboxIO/ListExecs": [
    "io_grant"
  ],
  "/sallyport.v1.SandboxIO/ReadFile": [
    "io_grant"
  ],
  "/sallyport.v1.SandboxIO/WriteFile": [
    "io_grant"
  ],
  "/sallyport.v1.SandboxIO/ListFiles": [
    "io_grant"
  ],
  "/sallyport.v1.SandboxIO/StatFile": [
    "io_grant"
  ],
  "/sallyport.v1.SandboxIO/MakeDirectory": [
    "io_grant"
  ],
  "/sallyport.v1.SandboxIO/RemoveFile": [
    "io_grant"
  ],
  "/sallyport.v1.SandboxIO/Forward": [
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
  "/sallyport.v1.SandboxService/GetSandboxByName": [
    "workspace"
  ],
  "/sallyport.v1.SandboxService/SetSandboxTags": [
    "workspace"
  ],
  "/sallyport.v1.SandboxService/SleepSandbox": [
    "workspace"
  ],
  "/sallyport.v1.SandboxService/WakeSandbox": [
    "workspace"
  ],
  "/sallyport.v1.SandboxService/UpdateNetworkPolicy": [
    "workspace"
  ],
  "/sallyport.v1.SandboxService/ExplainDestination": [
    "workspace"
  ],
  "/sallyport.v1.SandboxService/WatchSandboxEvents": [
    "workspace"
  ],
  "/sallyport.v1.SandboxService/CreateConnectToken": [
    "workspace"
  ],
  "/sallyport.v1.SandboxService/ListConnectTokens": [
    "workspace"
  ],
  "/sallyport.v1.SandboxService/RevokeConnectToken": [
    "workspace"
  ],
  "/sallyport.v1.SandboxService/RevokeConnectTokens": [
    "workspace"
  ],
  "/sallyport.v1.SandboxService/ListTunnels": [
    "workspace"
  ],
  "/sallyport.v1.WorkerService/WatchDesired": [
    "worker"
  ],
  "/sallyport.v1.WorkerService/ReportInstances": [
    "worker"
  ],
  "/sallyport.v1.WorkerService/ReportImage": [
    "worker"
  ],
  "/sallyport.v1.WorkerService/ReadBuildContext": [
    "worker"
  ],
  "/sallyport.v1.WorkspaceService/GetUsage": [
    "workspace"
  ]
};
