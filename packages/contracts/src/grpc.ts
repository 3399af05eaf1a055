// The gRPC stubs, and the descriptor set that reflection serves.

export type { GrpcCallOptions } from "./call.ts";
export { callServerStream, callUnary } from "./call.ts";
export { DESCRIPTOR_SET_BASE64 } from "./gen/descriptor-set.ts";
export type { AdminServiceServer } from "./gen/sallyport/v1/admin_service.ts";
export { AdminServiceClient, AdminServiceService } from "./gen/sallyport/v1/admin_service.ts";
export type { AppServiceServer } from "./gen/sallyport/v1/app_service.ts";
export { AppServiceClient, AppServiceService } from "./gen/sallyport/v1/app_service.ts";
export type { EdgeServiceServer } from "./gen/sallyport/v1/edge_service.ts";
export { EdgeServiceClient, EdgeServiceService } from "./gen/sallyport/v1/edge_service.ts";
export type { GatewayControlServiceServer } from "./gen/sallyport/v1/gateway_control_service.ts";
export {
  GatewayControlServiceClient,
  GatewayControlServiceService,
} from "./gen/sallyport/v1/gateway_control_service.ts";
export type { GatewayServiceServer } from "./gen/sallyport/v1/gateway_service.ts";
export { GatewayServiceClient, GatewayServiceService } from "./gen/sallyport/v1/gateway_service.ts";
export type { ImageServiceServer } from "./gen/sallyport/v1/image_service.ts";
export { ImageServiceClient, ImageServiceService } from "./gen/sallyport/v1/image_service.ts";
export type { SandboxIOServer } from "./gen/sallyport/v1/io_service.ts";
export { SandboxIOClient, SandboxIOService } from "./gen/sallyport/v1/io_service.ts";
export type { SandboxServiceServer } from "./gen/sallyport/v1/sandbox_service.ts";
export { SandboxServiceClient, SandboxServiceService } from "./gen/sallyport/v1/sandbox_service.ts";
export type { WorkerServiceServer } from "./gen/sallyport/v1/worker_service.ts";
export { WorkerServiceClient, WorkerServiceService } from "./gen/sallyport/v1/worker_service.ts";
export type { WorkspaceServiceServer } from "./gen/sallyport/v1/workspace_service.ts";
export { WorkspaceServiceClient, WorkspaceServiceService } from "./gen/sallyport/v1/workspace_service.ts";
