// Which image a create means: what workers list it as, and what sandboxes take from it where the create says nothing.
import { AppError } from "@sallyport/appkit/errors";
import { isId } from "@sallyport/contracts";
import type { ImageDefaults as MadeDefaults, WorkspaceImage } from "../domain/image.ts";
import { SHOWN_LOG_LINES } from "../domain/image.ts";
import type { Db } from "../store/database.ts";
import { findImage, readLogEnd } from "../store/workspace-images.ts";

/** What a sandbox takes from its image. */
type ImageDefaults = Omit<MadeDefaults, "command">;

/** An image that sandboxes can start from. */
export interface ResolvedImage {
  /** What workers that have it list it as; each with the digest of its own copy. */
  readonly workerImage: string;
  readonly defaults: ImageDefaults;
}

const PLATFORM_DEFAULTS: ImageDefaults = { uid: 0, gid: 0, env: [], workdir: "/" };

/**
 * The image of this name for a workspace. Whether any worker has it shows at placement. Throws NotFound for the id of
 * another workspace's, FailedPrecondition while it is in the making, ImageBuildFailed where that has failed.
 */
export async function resolveImage(workspaceId: string, tx: Db, image: string): Promise<ResolvedImage> {
  if (!isId("image", image)) return { workerImage: image, defaults: PLATFORM_DEFAULTS };
  const found = await findImage(workspaceId, tx, image);
  if (found === undefined) throw new AppError("NotFound", `image: there is no image "${image}"`, { field: "image" });
  if (found.defaults === undefined) throw await notReady(tx, found);
  return { workerImage: image, defaults: found.defaults };
}

async function notReady(tx: Db, { id, state, error }: WorkspaceImage): Promise<AppError> {
  if (state !== "failed") {
    return new AppError("FailedPrecondition", `image: ${id} is ${state}`, {
      field: "image",
      hint: state === "cancelled" ? "make it anew" : "wait until it is ready",
    });
  }
  const lines = (await readLogEnd(tx, id)).trimEnd().split("\n").slice(-SHOWN_LOG_LINES).join("\n");
  const log = lines === "" ? "" : `; the end of its log:\n${lines}`;
  return new AppError("ImageBuildFailed", `image: ${id} could not be made: ${error ?? "no reason was given"}${log}`, {
    field: "image",
  });
}
