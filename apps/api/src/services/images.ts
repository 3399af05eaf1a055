// Images of a workspace: asked for, given their context, watched, cancelled, given up. Another's is NotFound.
import { createHash } from "node:crypto";
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import { isId } from "@sallyport/contracts";
import { checkDockerfile, parseImageReference } from "@sallyport/contracts/images";
import type { ImageSource, WorkspaceImage } from "../domain/image.ts";
import { IMAGE_LIMITS, isFinal } from "../domain/image.ts";
import { PAGE_SIZE } from "../domain/limits.ts";
import { openPageToken, sealPageToken } from "../domain/page-token.ts";
import { inTransaction } from "../store/database.ts";
import { imageTopic, workerTopic } from "../store/topics.ts";
import { listConnectedWorkers } from "../store/workers.ts";
import {
  completeContext,
  countImages,
  deleteImage,
  endMaking,
  findImage,
  findImageOfSource,
  insertImage,
  listImages,
  readLog,
} from "../store/workspace-images.ts";
import { checkId, checkNumber } from "./check.ts";
import type { ServiceDeps } from "./deps.ts";

export interface CreateImageInput {
  /** Undefined where the request names none. */
  readonly source: ImageSource | undefined;
  readonly force: boolean;
}

/** Makes an image, or finds the one of the same source. */
export async function createImage(
  workspaceId: string,
  deps: ServiceDeps,
  input: CreateImageInput,
): Promise<{ readonly image: WorkspaceImage; readonly contextOffset: number }> {
  const source = checkSource(input.source);
  const sourceHash = createHash("sha256").update(JSON.stringify(source)).digest();
  const hasContext = source.kind === "dockerfile" && source.contextSize > 0;
  const image = await inTransaction(deps.db, async (tx) => {
    const used = await countImages(workspaceId, tx); // first: it locks, so that one of two at once finds the other's
    const known = input.force ? undefined : await findImageOfSource(workspaceId, tx, sourceHash);
    if (known !== undefined) return known;
    checkBounds(used, source);
    return insertImage(workspaceId, tx, { source, sourceHash, contextComplete: !hasContext });
  });
  if (image.contextComplete) await wakeWorkers(deps);
  return { image, contextOffset: hasContext && !image.contextComplete ? await deps.contexts.size(image.id) : 0 };
}

function checkSource(source: ImageSource | undefined): ImageSource {
  if (source === undefined) throw invalidArgument("source", "must be a reference or a Dockerfile");
  if (source.kind === "registry") {
    const reference = parseImageReference(source.reference);
    if (reference !== undefined) return { kind: "registry", reference: reference.canonical };
    throw invalidArgument("source.registry_reference", "is no reference of an image", 'e.g. "python:3.12"');
  }
  const checked = checkDockerfile(source.dockerfile);
  if (!checked.ok) {
    const where = checked.line === 0 ? "" : `line ${checked.line}: `;
    throw invalidArgument("source.dockerfile.dockerfile", `${where}${checked.problem}`, checked.hint);
  }
  const { contextSize, contextSha256 } = source;
  checkNumber("source.dockerfile.context_size", contextSize, { min: 0, max: IMAGE_LIMITS.contextBytes, unset: 0 });
  if (contextSize === 0 ? contextSha256 !== "" : !/^[0-9a-f]{64}$/.test(contextSha256)) {
    throw invalidArgument("source.dockerfile.context_sha256", "must be the SHA-256 of the context in hexadecimal");
  }
  return source;
}

function checkBounds(used: Awaited<ReturnType<typeof countImages>>, source: ImageSource): void {
  const contextBytes = source.kind === "dockerfile" ? source.contextSize : 0;
  const over = (name: string, limit: number, hint: string) =>
    new AppError("ResourceExhausted", `a workspace has at most ${limit} ${name}`, { hint, retryAfterMs: 5_000 });
  if (used.images >= IMAGE_LIMITS.images) throw over("images", IMAGE_LIMITS.images, "delete those that are not needed");
  if (used.making >= IMAGE_LIMITS.imagesInTheMaking) {
    throw over("images in the making", IMAGE_LIMITS.imagesInTheMaking, "wait for the others, or cancel one");
  }
  if (used.contextBytes + contextBytes > IMAGE_LIMITS.contextBytesInAll) {
    throw over("bytes of contexts in the making", IMAGE_LIMITS.contextBytesInAll, "wait for the others, or cancel one");
  }
}

/** Adds a piece of a context; with its last one, the making begins. */
export async function putContext(
  workspaceId: string,
  deps: ServiceDeps,
  piece: { readonly imageId: string; readonly offset: number; readonly data: Uint8Array },
): Promise<number> {
  const image = await getImage(workspaceId, deps, piece.imageId);
  const { source, id } = image;
  if (source.kind !== "dockerfile" || source.contextSize === 0) {
    throw new AppError("FailedPrecondition", `${id} has no context`, { field: "image_id" });
  }
  if (piece.data.length > IMAGE_LIMITS.contextPieceBytes) {
    throw invalidArgument("data", `must have at most ${IMAGE_LIMITS.contextPieceBytes} bytes`);
  }
  checkNumber("offset", piece.offset, { min: 0, max: source.contextSize, unset: 0 });
  if (image.contextComplete) return source.contextSize;
  if (isFinal(image.state)) throw new AppError("FailedPrecondition", `${id} is ${image.state}`, { field: "image_id" });
  if (piece.offset + piece.data.length > source.contextSize) {
    throw invalidArgument("data", `goes beyond the context's ${source.contextSize} bytes`);
  }
  const accepted = await deps.contexts.append(id, piece.offset, piece.data);
  if (accepted < source.contextSize) return accepted;
  if ((await deps.contexts.hash(id)) !== source.contextSha256) {
    await deps.contexts.remove(id);
    throw invalidArgument("data", "the context has another SHA-256 than was said", "send it again from offset 0");
  }
  await completeContext(workspaceId, deps.db, id);
  await wakeWorkers(deps);
  return accepted;
}

/** Throws InvalidArgument for what is no id, NotFound for what is no image of this workspace. */
export async function getImage(workspaceId: string, deps: ServiceDeps, id: string): Promise<WorkspaceImage> {
  const image = await findImage(workspaceId, deps.db, checkId("image", "image_id", id));
  if (image !== undefined) return image;
  throw new AppError("NotFound", `there is no image ${id}`, { field: "image_id" });
}

export async function listImagePage(
  workspaceId: string,
  deps: ServiceDeps,
  request: { readonly pageSize: number; readonly pageToken: string },
): Promise<{ readonly images: readonly WorkspaceImage[]; readonly nextPageToken: string }> {
  const limit = checkNumber("page_size", request.pageSize || undefined, PAGE_SIZE);
  const listing = ["images", workspaceId];
  const beforeId = request.pageToken === "" ? undefined : openPageToken(deps.pageTokenKey, listing, request.pageToken);
  if (request.pageToken !== "" && (beforeId === undefined || !isId("image", beforeId))) {
    throw invalidArgument("page_token", "is none that this listing gave", "start again without one");
  }
  const found = await listImages(workspaceId, deps.db, { beforeId, limit: limit + 1 });
  const { images, isMore } = withinMessage(found, limit);
  const last = images.at(-1);
  const isOpen = isMore && last !== undefined;
  return { images, nextPageToken: isOpen ? sealPageToken(deps.pageTokenKey, listing, last.id) : "" };
}

const MAX_PAGE_BYTES = 1024 * 1024;

/** As many as a message takes: Dockerfiles may be long. */
function withinMessage(
  found: readonly WorkspaceImage[],
  limit: number,
): { readonly images: readonly WorkspaceImage[]; readonly isMore: boolean } {
  let bytes = 0;
  const end = found.findIndex((image, index) => {
    bytes += JSON.stringify([image.source, image.defaults, image.error]).length * 2 + 256;
    return index === limit || (index > 0 && bytes > MAX_PAGE_BYTES);
  });
  return end < 0 ? { images: found, isMore: false } : { images: found.slice(0, end), isMore: true };
}

export type ImageEvent =
  | { readonly kind: "log"; readonly offset: number; readonly text: string }
  | { readonly kind: "image"; readonly image: WorkspaceImage };

const LOOK_EVERY_MS = 2_000;

/** The log from an offset, followed until the image is made or not; then the image itself. */
export async function* watchImage(
  workspaceId: string,
  deps: ServiceDeps,
  request: { readonly imageId: string; readonly offset: number },
  signal: AbortSignal,
): AsyncGenerator<ImageEvent, void, undefined> {
  let offset = checkNumber("offset", request.offset, { min: 0, max: Number.MAX_SAFE_INTEGER, unset: 0 });
  using subscription = deps.hub.subscribe(imageTopic(request.imageId));
  for (;;) {
    // The image first: what its log has by then is all of it, once it is final.
    const image = await getImage(workspaceId, deps, request.imageId);
    for (;;) {
      const pieces = await readLog(deps.db, image.id, offset);
      for (const piece of pieces) {
        const bytes = Buffer.from(piece.text).subarray(Math.max(0, offset - piece.offset));
        yield { kind: "log", offset: Math.max(offset, piece.offset), text: bytes.toString() };
        offset = piece.offset + Buffer.byteLength(piece.text);
      }
      if (pieces.length === 0) break;
    }
    if (isFinal(image.state)) {
      yield { kind: "image", image };
      return;
    }
    await subscription.next(LOOK_EVERY_MS, signal);
  }
}

export async function cancelImage(workspaceId: string, deps: ServiceDeps, id: string): Promise<WorkspaceImage> {
  const { workerId } = await getImage(workspaceId, deps, id);
  await inTransaction(deps.db, (tx) => endMaking(workspaceId, tx, id, { state: "cancelled", error: null }));
  await deps.contexts.remove(id);
  wake(deps, id, workerId);
  return getImage(workspaceId, deps, id);
}

export async function removeImage(workspaceId: string, deps: ServiceDeps, id: string): Promise<void> {
  const { workerId } = await getImage(workspaceId, deps, id);
  await inTransaction(deps.db, (tx) => deleteImage(workspaceId, tx, id));
  await deps.contexts.remove(id);
  wake(deps, id, workerId);
}

function wake(deps: ServiceDeps, imageId: string, workerId: string | undefined): void {
  deps.hub.wake(imageTopic(imageId));
  if (workerId !== undefined) deps.hub.wake(workerTopic(workerId));
}

/** The first to look takes what waits. */
async function wakeWorkers(deps: ServiceDeps): Promise<void> {
  for (const workerId of await listConnectedWorkers(deps.db)) deps.hub.wake(workerTopic(workerId));
}
