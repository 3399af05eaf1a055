// The messages and words of Sallyport's processes. Stubs are at ./grpc, so that whoever needs messages alone loads no gRPC.

export type { CodeFacts, ErrorCode } from "./error-codes.ts";
export { codeOfGrpcStatus, ERROR_CODES, isErrorCode } from "./error-codes.ts";
export { decodeStatusDetails, encodeStatusDetails } from "./error-detail.ts";
export { Any } from "./gen/google/protobuf/any.ts";
export { Status } from "./gen/google/rpc/status.ts";
export { METHOD_PRINCIPALS } from "./gen/principals.ts";
export {
  ApiToken,
  CreateApiTokenRequest,
  CreateApiTokenResponse,
  CreateWorkspaceRequest,
  CreateWorkspaceResponse,
  GetPlatformStatusRequest,
  GetPlatformStatusResponse,
  ListApiTokensRequest,
  ListApiTokensResponse,
  ListWorkspacesRequest,
  ListWorkspacesResponse,
  RevokeApiTokenRequest,
  RevokeApiTokenResponse,
  WorkerStatus,
  Workspace,
} from "./gen/sallyport/v1/admin.ts";
export {
  App,
  LookupAppRequest,
  LookupAppResponse,
} from "./gen/sallyport/v1/app.ts";
export { ErrorDetail } from "./gen/sallyport/v1/error.ts";
export {
  AttachInstanceRequest,
  AttachInstanceResponse,
  DetachInstanceRequest,
  DetachInstanceResponse,
  InitFailed,
  OpenInstanceRequest,
  OpenInstanceRequest_EnvEntry,
  OpenInstanceResponse,
  PublicKey,
  StartEntrypointRequest,
  StartEntrypointRequest_EnvEntry,
  StartEntrypointResponse,
  WatchInstancesRequest,
  WatchInstancesResponse,
  WatchKeysRequest,
  WatchKeysResponse,
} from "./gen/sallyport/v1/gateway.ts";
export {
  OutputStream,
  ReadOutputRequest,
  ReadOutputResponse,
  ReadOutputResponse_Chunk,
  ReadOutputResponse_End,
  ReadOutputResponse_Gap,
  ResizeExecRequest,
  ResizeExecResponse,
  SignalExecRequest,
  SignalExecResponse,
  StartExecRequest,
  StartExecRequest_EnvEntry,
  StartExecResponse,
  WaitExecRequest,
  WaitExecResponse,
  WriteInputRequest,
  WriteInputResponse,
} from "./gen/sallyport/v1/io.ts";
export {
  NetworkPolicy,
  NetworkPolicy_Allow,
  NetworkPolicy_Blocked,
  NetworkPolicy_Open,
  NetworkRules,
  NetworkRules_Mode,
} from "./gen/sallyport/v1/network.ts";
export {
  Command,
  EndReason,
  Outcome,
  PtySize,
} from "./gen/sallyport/v1/process.ts";
export {
  CreateSandboxRequest,
  CreateSandboxRequest_EnvEntry,
  CreateSandboxResponse,
  GetIoAccessRequest,
  GetIoAccessResponse,
  GetSandboxRequest,
  GetSandboxResponse,
  IoAccess,
  ListSandboxesRequest,
  ListSandboxesResponse,
  Sandbox,
  SandboxState,
  TerminateSandboxRequest,
  TerminateSandboxResponse,
  WaitSandboxRequest,
  WaitSandboxResponse,
} from "./gen/sallyport/v1/sandbox.ts";
export {
  DesiredInstance,
  DesiredInstance_Wish,
  InstanceAck,
  InstanceReport,
  InstanceSpec,
  InstanceSpec_EnvEntry,
  InstanceState,
  ReportInstancesRequest,
  ReportInstancesResponse,
  WatchDesiredRequest,
  WatchDesiredResponse,
  WorkerImage,
} from "./gen/sallyport/v1/worker.ts";
export type { IdKind } from "./ids.ts";
export { ID_PREFIXES, isId } from "./ids.ts";
export type { PrincipalKind } from "./principals.ts";
export {
  AUTHORIZATION_KEY,
  ENTRYPOINT_EXEC_ID,
  ERROR_DETAIL_TYPE,
  EXEC_ID_PATTERN,
  INIT_PORT,
  MAX_CHUNK_BYTES,
  MAX_WAIT_MS,
  REQUEST_ID_KEY,
  STATUS_DETAILS_KEY,
} from "./wire.ts";
