// Who holds an API token. Asked anew at every call, so that a revocation holds from the moment it is committed.
import { parseToken, sameHash } from "../domain/api-token.ts";
import { findApiTokenProof } from "../store/api-tokens.ts";
import type { Db } from "../store/database.ts";

export interface TokenHolder {
  readonly workspaceId: string;
  readonly apiTokenId: string;
}

const NO_HASH = Buffer.alloc(32);

/** The holder of a token; undefined for anything that is not a good token. */
export async function holderOf(db: Db, text: string): Promise<TokenHolder | undefined> {
  const parts = parseToken(text);
  if (parts === undefined) return undefined;
  const proof = await findApiTokenProof(db, parts.apiTokenId);
  const isSame = sameHash(proof?.secret_hash ?? NO_HASH, parts.secretHash);
  if (proof === undefined || !isSame) return undefined;
  return { workspaceId: proof.workspace_id, apiTokenId: parts.apiTokenId };
}
