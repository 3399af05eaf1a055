// Sandboxes with declared ports in a workspace of a real api, and their tunnels.
import type { CreateSandboxRequest, Tunnel } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import type { makeWorkspace, TestApi } from "./fixtures.ts";
import { createRequest } from "./fixtures.ts";

type Owner = Pick<Awaited<ReturnType<typeof makeWorkspace>>, "auth">;

/** The id of a new sandbox. */
export async function createWith(api: TestApi, owner: Owner, change: Partial<CreateSandboxRequest>): Promise<string> {
  const request = createRequest(change);
  const { sandbox } = await callUnary(api.sandboxes, api.sandboxes.createSandbox, request, owner.auth);
  if (sandbox === undefined) throw new Error("a create answered without a sandbox");
  return sandbox.id;
}

export function terminate(api: TestApi, owner: Owner, sandboxId: string) {
  const request = { sandboxId, waitMs: 10_000 };
  return callUnary(api.sandboxes, api.sandboxes.terminateSandbox, request, owner.auth);
}

export function listTunnels(
  api: TestApi,
  owner: Owner,
  sandboxId: string,
  options: { readonly waitMs?: number; readonly signal?: AbortSignal } = {},
) {
  const { waitMs = 0, ...rest } = options;
  return callUnary(api.sandboxes, api.sandboxes.listTunnels, { sandboxId, waitMs }, { ...owner.auth, ...rest });
}

export async function tunnelsOf(api: TestApi, owner: Owner, sandboxId: string): Promise<readonly Tunnel[]> {
  return (await listTunnels(api, owner, sandboxId)).tunnels;
}
