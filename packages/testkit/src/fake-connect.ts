// What the fake platform does of connect tokens: it makes texts that look like them, and remembers.
import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import type {
  ConnectTokenInfo,
  CreateConnectTokenRequest,
  CreateConnectTokenResponse,
  GetLocalAuthorityResponse,
  ListConnectTokensRequest,
  RevokeConnectTokenRequest,
  RevokeConnectTokensRequest,
} from "@sallyport/contracts";
import { SandboxState } from "@sallyport/contracts";
import { wireError } from "./fake-failure.ts";
import type { LifeCycleDeps } from "./fake-life-cycle.ts";

/** The connect tokens of a fake platform. */
export class FakeConnect {
  /** Of the sandboxes' names, with its port: `localhost:7443`. */
  domain = "localhost:7443";
  /** Certificates that clients must trust; "" for none. */
  caPem = "";
  /** Of the local authority. */
  authorityDomains: string[] = ["localhost"];
  /** Told with each token. */
  warnings: string[] = [];
  /** Told with each revocation. */
  staleEdges: string[] = [];
  readonly requests: CreateConnectTokenRequest[] = [];
  readonly issued: (ConnectTokenInfo & { readonly sandboxId: string; readonly token: string })[] = [];
}

/** As a workspace sees it. */
export function authorityOf({ authorityDomains, caPem }: FakeConnect): GetLocalAuthorityResponse {
  return { certificatePem: caPem, fingerprint: "00".repeat(32), domains: authorityDomains };
}

export function connectHandlers(
  { handle, find }: Pick<LifeCycleDeps, "handle" | "find">,
  connect: FakeConnect,
): UntypedServiceImplementation {
  const revoke = (sandboxId: string, isMeant: (tokenId: string) => boolean) => {
    find(sandboxId);
    const meant = connect.issued.filter((one) => one.sandboxId === sandboxId && isMeant(one.tokenId));
    for (const one of meant) one.revokedAt ??= new Date();
    return meant.length;
  };
  return {
    createConnectToken: handle("createConnectToken", async (request: CreateConnectTokenRequest) => {
      const { view } = find(request.sandboxId);
      if (view.state === SandboxState.ENDED) throw wireError({ code: "SandboxEnded", field: "sandbox_id" });
      if (request.port === 0) throw wireError({ code: "InvalidArgument", field: "port" });
      if (request.expiresInMs === 0) throw wireError({ code: "InvalidArgument", field: "expires_in_ms" });
      connect.requests.push(request);
      const serial = String(connect.issued.length + 1);
      const expiresAt = new Date(Date.now() + (request.expiresInMs ?? 3_600_000));
      connect.issued.push({
        sandboxId: view.id,
        tokenId: `ct-${serial.padStart(26, "0")}`,
        token: `fake-connect-token-${serial}.secret`,
        port: request.port ?? 8_080,
        embed: request.embed,
        createdAt: new Date(),
        expiresAt,
      });
      const { tokenId, token } = connect.issued.at(-1) ?? { tokenId: "", token: "" };
      const url = `https://${view.id}.${connect.domain}`;
      const { warnings, caPem } = connect;
      return { tokenId, token, url, expiresAt, warnings, caPem } satisfies CreateConnectTokenResponse;
    }),
    listConnectTokens: handle("listConnectTokens", async ({ sandboxId }: ListConnectTokensRequest) => {
      find(sandboxId);
      return { tokens: connect.issued.filter((one) => one.sandboxId === sandboxId).toReversed() };
    }),
    revokeConnectToken: handle("revokeConnectToken", async (request: RevokeConnectTokenRequest) => {
      const count = revoke(request.sandboxId, (tokenId) => tokenId === request.tokenId);
      if (count === 0) throw wireError({ code: "NotFound", field: "token_id" });
      return { staleEdges: connect.staleEdges };
    }),
    revokeConnectTokens: handle("revokeConnectTokens", async ({ sandboxId }: RevokeConnectTokensRequest) => {
      revoke(sandboxId, () => true);
      return { staleEdges: connect.staleEdges };
    }),
  };
}
