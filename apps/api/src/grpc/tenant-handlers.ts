// Thin handlers of what programs of a workspace call: SandboxService and AppService.
import { AppError } from "@sallyport/appkit/errors";
import type { BoundService, CallContext } from "@sallyport/appkit/service";
import { bindService } from "@sallyport/appkit/service";
import { AppServiceService, SandboxServiceService } from "@sallyport/contracts/grpc";
import { lookupApp } from "../services/apps.ts";
import { createSandbox } from "../services/create-sandbox.ts";
import type { ServiceDeps } from "../services/deps.ts";
import { getIoAccess, getSandbox, listPage, terminateSandbox, waitSandbox } from "../services/sandboxes.ts";
import { fromCreateRequest, toIoAccess, toSandbox } from "./convert.ts";

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
      const page = await listPage(workspaceOf(context), deps, request);
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
function workspaceOf({ principal }: CallContext): string {
  if (principal.kind === "workspace") return principal.workspaceId;
  throw new AppError("PermissionDenied", "only for a workspace");
}
