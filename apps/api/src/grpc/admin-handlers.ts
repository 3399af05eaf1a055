// Thin handlers of what the operator calls: AdminService.
import type { BoundService } from "@sallyport/appkit/service";
import { bindService } from "@sallyport/appkit/service";
import { AdminServiceService } from "@sallyport/contracts/grpc";
import {
  allApiTokens,
  allWorkspaces,
  createApiToken,
  createWorkspace,
  platformStatus,
  revokeToken,
  setTokenRules,
} from "../services/admin.ts";
import type { ServiceDeps } from "../services/deps.ts";
import { allEdges, localAuthority } from "../services/edges.ts";
import { grantCidr, listGrants, revokeCidr } from "../services/grants.ts";
import { rotateConnectKey } from "../services/key-rotation.ts";
import { allWorkers, declareWorkerLost } from "../services/lost-workers.ts";
import { setWorkspaceQuota } from "../services/quota.ts";
import { toApiToken, toQuota, toWorker, toWorkerStatus, toWorkspace } from "./convert.ts";
import { toConnectKey, toEdge } from "./convert-connect.ts";

export function adminService(deps: ServiceDeps): BoundService {
  return bindService(AdminServiceService, {
    async createWorkspace(request) {
      return { workspace: toWorkspace(await createWorkspace(deps, request.name)) };
    },
    async listWorkspaces() {
      return { workspaces: (await allWorkspaces(deps)).map(toWorkspace) };
    },
    async createApiToken(request) {
      const { row, text } = await createApiToken(deps, request);
      return { apiToken: toApiToken(row), secret: text };
    },
    async listApiTokens(request) {
      return { apiTokens: (await allApiTokens(deps, request.workspaceName)).map(toApiToken) };
    },
    async revokeApiToken(request) {
      return { apiToken: toApiToken(await revokeToken(deps, request.apiTokenId)) };
    },
    async getPlatformStatus() {
      const status = await platformStatus(deps);
      const { platformId, livingSandboxes } = status;
      return { platformId, livingSandboxes, workers: status.workers.map(toWorkerStatus) };
    },
    async setWorkspaceQuota(request) {
      const { workspace, memoryMib: memoryMiB, diskMib: diskMiB, sandboxes, cpuMillis, createsPerMinute } = request;
      const change = { sandboxes, cpuMillis, memoryMiB, diskMiB, createsPerMinute };
      return { quota: toQuota(await setWorkspaceQuota(deps, workspace, change)) };
    },
    async setWorkspaceTokenRules(request) {
      return setTokenRules(deps, request);
    },
    async grantCidr(request) {
      const { cidrs } = await grantCidr(deps, request.workspace, request.cidr);
      return { cidrs: [...cidrs] };
    },
    async revokeCidr(request) {
      const { cidrs, sandboxes } = await revokeCidr(deps, request.workspace, request.cidr);
      return { cidrs: [...cidrs], sandboxes };
    },
    async listGrants(request) {
      return { cidrs: [...(await listGrants(deps, request.workspace))] };
    },
    async listWorkers() {
      return { workers: (await allWorkers(deps)).map(toWorker) };
    },
    async declareWorkerLost(request) {
      return { sandboxes: await declareWorkerLost(deps, request.workerId) };
    },
    async listEdges() {
      return { edges: (await allEdges(deps)).map(toEdge) };
    },
    async rotateConnectKey(_request, context) {
      const { keyId, staleEdges } = await rotateConnectKey(deps, context.signal);
      return { keyId, staleEdges: [...staleEdges] };
    },
    async listConnectKeys() {
      return { keys: (await deps.connectKeys.list()).map(toConnectKey) };
    },
    async getLocalAuthority() {
      return localAuthority(deps);
    },
  });
}
