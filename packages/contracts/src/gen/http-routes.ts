// Generated from proto/ by scripts/generate.js. Not to be edited.
import type { HttpRoute } from "../http-route.ts";

/** Every method that is also served over HTTP, as proto/ declares it. */
export const HTTP_ROUTES: readonly HttpRoute[] = [
  {
    "method": "/sallyport.v1.AdminService/GetLocalAuthority",
    "verb": "GET",
    "path": "/v1/local-authority",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.AppService/LookupApp",
    "verb": "POST",
    "path": "/v1/apps",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.ImageService/CreateImage",
    "verb": "POST",
    "path": "/v1/images",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.ImageService/PutBuildContext",
    "verb": "POST",
    "path": "/v1/images/{image_id}/context",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.ImageService/GetImage",
    "verb": "GET",
    "path": "/v1/images/{image_id}",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.ImageService/ListImages",
    "verb": "GET",
    "path": "/v1/images",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.ImageService/WatchImage",
    "verb": "GET",
    "path": "/v1/images/{image_id}/log",
    "serverStream": true
  },
  {
    "method": "/sallyport.v1.ImageService/CancelImage",
    "verb": "POST",
    "path": "/v1/images/{image_id}/cancel",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.ImageService/DeleteImage",
    "verb": "DELETE",
    "path": "/v1/images/{image_id}",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.ImageService/SetRegistryCredential",
    "verb": "PUT",
    "path": "/v1/registry-credentials/{registry}",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.ImageService/ListRegistryCredentials",
    "verb": "GET",
    "path": "/v1/registry-credentials",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.ImageService/DeleteRegistryCredential",
    "verb": "DELETE",
    "path": "/v1/registry-credentials/{registry}",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxIO/StartExec",
    "verb": "POST",
    "path": "/v1/processes",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxIO/RunExec",
    "verb": "POST",
    "path": "/v1/run",
    "serverStream": true
  },
  {
    "method": "/sallyport.v1.SandboxIO/ReadOutput",
    "verb": "GET",
    "path": "/v1/processes/{exec_id}/output",
    "serverStream": true
  },
  {
    "method": "/sallyport.v1.SandboxIO/WriteInput",
    "verb": "POST",
    "path": "/v1/processes/{exec_id}/input",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxIO/WaitExec",
    "verb": "POST",
    "path": "/v1/processes/{exec_id}/wait",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxIO/SignalExec",
    "verb": "POST",
    "path": "/v1/processes/{exec_id}/signal",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxIO/ResizeExec",
    "verb": "POST",
    "path": "/v1/processes/{exec_id}/resize",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxIO/ListExecs",
    "verb": "GET",
    "path": "/v1/processes",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxIO/ReadFile",
    "verb": "GET",
    "path": "/v1/files/content",
    "serverStream": true
  },
  {
    "method": "/sallyport.v1.SandboxIO/WriteFile",
    "verb": "POST",
    "path": "/v1/files/content",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxIO/ListFiles",
    "verb": "GET",
    "path": "/v1/files",
    "serverStream": true
  },
  {
    "method": "/sallyport.v1.SandboxIO/StatFile",
    "verb": "GET",
    "path": "/v1/files/stat",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxIO/MakeDirectory",
    "verb": "POST",
    "path": "/v1/files/directory",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxIO/RemoveFile",
    "verb": "DELETE",
    "path": "/v1/files",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxService/CreateSandbox",
    "verb": "POST",
    "path": "/v1/sandboxes",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxService/GetSandbox",
    "verb": "GET",
    "path": "/v1/sandboxes/{sandbox_id}",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxService/ListSandboxes",
    "verb": "GET",
    "path": "/v1/sandboxes",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxService/WaitSandbox",
    "verb": "POST",
    "path": "/v1/sandboxes/{sandbox_id}/wait",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxService/TerminateSandbox",
    "verb": "POST",
    "path": "/v1/sandboxes/{sandbox_id}/terminate",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxService/GetIoAccess",
    "verb": "POST",
    "path": "/v1/sandboxes/{sandbox_id}/io-access",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxService/GetSandboxByName",
    "verb": "GET",
    "path": "/v1/sandbox-names/{name}",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxService/SetSandboxTags",
    "verb": "PUT",
    "path": "/v1/sandboxes/{sandbox_id}/tags",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxService/SleepSandbox",
    "verb": "POST",
    "path": "/v1/sandboxes/{sandbox_id}/sleep",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxService/WakeSandbox",
    "verb": "POST",
    "path": "/v1/sandboxes/{sandbox_id}/wake",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxService/UpdateNetworkPolicy",
    "verb": "PUT",
    "path": "/v1/sandboxes/{sandbox_id}/network",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxService/ExplainDestination",
    "verb": "GET",
    "path": "/v1/sandboxes/{sandbox_id}/network/explain",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxService/WatchSandboxEvents",
    "verb": "GET",
    "path": "/v1/sandboxes/{sandbox_id}/events",
    "serverStream": true
  },
  {
    "method": "/sallyport.v1.SandboxService/CreateConnectToken",
    "verb": "POST",
    "path": "/v1/sandboxes/{sandbox_id}/connect-tokens",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxService/ListConnectTokens",
    "verb": "GET",
    "path": "/v1/sandboxes/{sandbox_id}/connect-tokens",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxService/RevokeConnectToken",
    "verb": "DELETE",
    "path": "/v1/sandboxes/{sandbox_id}/connect-tokens/{token_id}",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxService/RevokeConnectTokens",
    "verb": "DELETE",
    "path": "/v1/sandboxes/{sandbox_id}/connect-tokens",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.SandboxService/ListTunnels",
    "verb": "GET",
    "path": "/v1/sandboxes/{sandbox_id}/tunnels",
    "serverStream": false
  },
  {
    "method": "/sallyport.v1.WorkspaceService/GetUsage",
    "verb": "GET",
    "path": "/v1/usage",
    "serverStream": false
  }
];
