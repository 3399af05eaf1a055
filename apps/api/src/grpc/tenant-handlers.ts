// Thin handlers of what programs of a workspace call: SandboxService, AppService and WorkspaceService.
import { AppError } from "@sallyport/appkit/errors";
import type { BoundService, CallContext } from "@sallyport/appkit/service";
import { bindService } from "@sallyport/appkit/service";
import { AppServiceService, SandboxServiceService, WorkspaceServiceService } from "@sallyport/contracts/grpc";
import { lookupApp } from "../services/apps.ts";
import { createToken, listTokens, revokeAllTokens, revokeToken } from "../services/connect-tokens.ts";
import { createSandbox } from "../services/create-sandbox.ts";
import type { ServiceDeps } from "../services/deps.ts";
import { explainDestination } from "../services/explain-destination.ts";
import { listTunnels } from "../services/list-tunnels.ts";
import { getUsage } from "../services/quota.ts";
import {
  getIoAccess,
  getSandbox,
  getSandboxByName,
  listPage,
  setTags,
  terminateSandbox,
  waitSandbox,
} from "../services/sandboxes.ts";
import { setAsleep } from "../services/sleep.ts";
import { updateNetwork } from "../services/update-network.ts";
import { watchEvents } from "../services/watch-events.ts";
import { fromCreateRequest, toIoAccess, toQuota, toSandbox, toSandboxEvent } from "./convert.ts";
import { fromCreateToken, toCreatedToken, toTokenInfo } from "./convert-connect.ts";
import { fromNetworkPolicy } from "./convert-network.ts";
import { toTunnels } from "./convert-tunnel.ts";

export function sandboxService(deps: ServiceDeps): BoundService {
  return bindService(SandboxServiceService, {
    async createSandbox(request, context) {
      const input = fromCreateRequest(request);
      const created = await createSandbox(workspaceOf(context), deps, input, context.signal);
      const { record, ioAccess } = created;
      return {
        sandbox: toSandbox(record.sandbox),
        ioAccess: ioAccess === undefined ? undefined : toIoAccess(ioAccess),
      };
    },
    async getSandbox(request, context) {
      const record = await getSandbox(workspaceOf(context), deps, request.sandboxId);
      return { sandbox: toSandbox(record.sandbox) };
    },
    async listSandboxes(request, context) {
      const filter = { ...request, tags: new Map(Object.entries(request.tags)) };
      const page = await listPage(workspaceOf(context), deps, filter);
      return {
        sandboxes: page.records.map((record) => toSandbox(record.sandbox)),
        nextPageToken: page.nextPageToken,
      };
    },
    async waitSandbox(request, context) {
      const record = await waitSandbox(workspaceOf(context), deps, request, context.signal);
      return { sandbox: toSandbox(record.sandbox) };
    },
    async terminateSandbox(request, context) {
      const record = await terminateSandbox(workspaceOf(context), deps, request, context.signal);
      return { sandbox: toSandbox(record.sandbox) };
    },
    async getIoAccess(request, context) {
      return { ioAccess: toIoAccess(await getIoAccess(workspaceOf(context), deps, request.sandboxId)) };
    },
    async getSandboxByName(request, context) {
      const record = await getSandboxByName(workspaceOf(context), deps, request);
      return { sandbox: toSandbox(record.sandbox) };
    },
    async setSandboxTags(request, context) {
      const tags = new Map(Object.entries(request.tags));
      const record = await setTags(workspaceOf(context), deps, request.sandboxId, tags);
      return { sandbox: toSandbox(record.sandbox) };
    },
    async sleepSandbox(request, context) {
      const record = await setAsleep(workspaceOf(context), deps, request, true, context.signal);
      return { sandbox: toSandbox(record.sandbox) };
    },
    async wakeSandbox(request, context) {
      const record = await setAsleep(workspaceOf(context), deps, request, false, context.signal);
      return { sandbox: toSandbox(record.sandbox) };
    },
    async updateNetworkPolicy({ sandboxId, network }, context) {
      const wanted = { sandboxId, network: network === undefined ? undefined : fromNetworkPolicy(network) };
      const record = await updateNetwork(workspaceOf(context), deps, wanted, context.signal);
      return { sandbox: toSandbox(record.sandbox) };
    },
    async explainDestination({ sandboxId, destination }, context) {
      return explainDestination(workspaceOf(context), deps, sandboxId, destination);
    },
    async *watchSandboxEvents(request, context) {
      for await (const event of watchEvents(workspaceOf(context), deps, request, context.signal)) {
        yield { event: toSandboxEvent(event) };
      }
    },
    async createConnectToken(request, context) {
      return toCreatedToken(await createToken(workspaceOf(context), deps, fromCreateToken(request)));
    },
    async listConnectTokens(request, context) {
      const tokens = await listTokens(workspaceOf(context), deps, request.sandboxId);
      return { tokens: tokens.map(toTokenInfo) };
    },
    async revokeConnectToken(request, context) {
      return { staleEdges: [...(await revokeToken(workspaceOf(context), deps, request, context.signal))] };
    },
    async listTunnels(request, context) {
      return toTunnels(await listTunnels(workspaceOf(context), deps, request, context.signal));
    },
    async revokeConnectTokens(request, context) {
      return { staleEdges: [...(await revokeAllTokens(workspaceOf(context), deps, request, context.signal))] };
    },
  });
}

export function workspaceService(deps: ServiceDeps): BoundService {
  return bindService(WorkspaceServiceService, {
    async getUsage(_request, context) {
      const { quota, used } = await getUsage(workspaceOf(context), deps);
      return { quota: toQuota(quota), used: toQuota(used) };
    },
  });
}

export function appService(deps: ServiceDeps): BoundService {
  return bindService(AppServiceService, {
    async lookupApp(request, context) {
      const { id, name } = await lookupApp(workspaceOf(context), deps, request);
      return { app: { id, name } };
    },
  });
}

/** The principal table lets only workspaces in here; should it ever err, nothing is done in nobody's name. */
export function workspaceOf({ principal }: CallContext): string {
  if (principal.kind === "workspace") return principal.workspaceId;
  throw new AppError("PermissionDenied", "only for a workspace");
}
