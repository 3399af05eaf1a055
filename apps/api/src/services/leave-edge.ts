// An edge that is gone for good: another process has its place, and its keys.
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import { passAssertionKeys } from "../store/assertion-keys.ts";
import { inTransaction } from "../store/database.ts";
import { deleteEdge, lockEdge } from "../store/edges.ts";
import { EDGES_TOPIC } from "../store/topics.ts";
import type { ServiceDeps } from "./deps.ts";
import { checkEdgeId } from "./watch-routes.ts";

/** Throws InvalidArgument for what is no id, FailedPrecondition where the successor is unknown. */
export async function leaveEdge(
  deps: ServiceDeps,
  request: { readonly edgeId: string; readonly successorId: string },
): Promise<void> {
  const edgeId = checkEdgeId(request.edgeId);
  const successorId = checkEdgeId(request.successorId, "successor_id");
  if (edgeId === successorId) throw invalidArgument("successor_id", "must be another edge");
  const isThere = await inTransaction(deps.db, async (tx) => {
    if (!(await lockEdge(tx, successorId))) return false;
    await passAssertionKeys(tx, edgeId, successorId);
    await deleteEdge(tx, edgeId);
    return true;
  });
  if (!isThere) {
    throw new AppError("FailedPrecondition", "successor_id: there is no such edge", {
      field: "successor_id",
      hint: "watch routes first",
    });
  }
  deps.acknowledgements.forget(edgeId);
  deps.hub.wake(EDGES_TOPIC);
}
