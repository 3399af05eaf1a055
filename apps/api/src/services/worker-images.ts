// The api's half of the talk with workers about images: wishes with what they take, progress, contexts.
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import { checkDockerfile, parseImageReference } from "@sallyport/contracts/images";
import type { ImageDefaults, ImageState } from "../domain/image.ts";
import { IMAGE_LIMITS, isFinal } from "../domain/image.ts";
import { isDigest } from "../domain/names.ts";
import { inTransaction } from "../store/database.ts";
import { imageTopic } from "../store/topics.ts";
import type { WishedImage } from "../store/worker-images.ts";
import { listWishedImages, lockMaking, writeMaking } from "../store/worker-images.ts";
import { checkId } from "./check.ts";
import type { ServiceDeps } from "./deps.ts";
import { openCredential } from "./registry-credentials.ts";

/** What a worker is told of an image. */
export type DesiredImage =
  | {
      readonly wish: "have";
      readonly image: WishedImage;
      /** For one that is in the making. */
      readonly login: { readonly username: string; readonly password: string } | undefined;
    }
  | { readonly wish: "drop"; readonly imageId: string };

/** Which images a worker was told of on one stream, and as what. */
export class ToldImages {
  readonly #told = new Map<string, string>();

  /** Everything when `full`, else what differs from what was told. */
  async next(deps: ServiceDeps, workerId: string, full: boolean): Promise<DesiredImage[]> {
    const wished = await listWishedImages(deps.db, workerId);
    const desired: DesiredImage[] = [];
    for (const image of wished) {
      const word = image.digest ?? "";
      if (!full && this.#told.get(image.imageId) === word) continue;
      this.#told.set(image.imageId, word);
      desired.push({ wish: "have", image, login: image.digest === undefined ? await loginOf(deps, image) : undefined });
    }
    const present = new Set(wished.map(({ imageId }) => imageId));
    for (const imageId of this.#told.keys()) {
      if (present.has(imageId)) continue;
      this.#told.delete(imageId);
      if (!full) desired.push({ wish: "drop", imageId });
    }
    return desired;
  }
}

/** A Dockerfile's bases may be of several registries: the credential is the first base's. */
async function loginOf(deps: ServiceDeps, { workspaceId, source }: WishedImage) {
  const reference = source.kind === "registry" ? source.reference : firstBase(source.dockerfile);
  const registry = reference === undefined ? undefined : parseImageReference(reference)?.registry;
  return registry === undefined ? undefined : openCredential(workspaceId, deps, registry);
}

function firstBase(dockerfile: string): string | undefined {
  const checked = checkDockerfile(dockerfile);
  return checked.ok ? checked.bases[0] : undefined;
}

export interface MakingReport {
  readonly workerId: string;
  readonly imageId: string;
  /** Undefined for a state that a worker does not report. */
  readonly state: Extract<ImageState, "building" | "ready" | "failed"> | undefined;
  readonly logOffset: number;
  readonly log: string;
  readonly digest: string;
  readonly size: number;
  readonly defaults: ImageDefaults | undefined;
  readonly error: string;
}

const MAX_ERROR_CHARACTERS = 2_000;
const CUT = "\n(the log is cut off here)\n";

/** Applies what a worker tells of a making that it was given; answers how much of its log is kept. */
export async function reportImage(deps: ServiceDeps, report: MakingReport): Promise<number> {
  checkId("worker", "worker_id", report.workerId);
  checkId("image", "image_id", report.imageId);
  const { state } = report;
  if (state === undefined) throw invalidArgument("state", "must be building, ready or failed");
  if (state === "ready" && (!isDigest(report.digest) || report.defaults === undefined)) {
    throw invalidArgument("digest", "is missing, or the defaults are");
  }
  const { kept, ended } = await inTransaction(deps.db, async (tx) => {
    const making = await lockMaking(tx, report.workerId, report.imageId);
    if (making === undefined)
      throw new AppError("NotFound", "image_id: is not made by this worker", { field: "image_id" });
    // A ready image that its worker has lost may still fail; every other end is final.
    const isLoss = making.state === "ready" && state === "failed";
    if (isFinal(making.state) && !isLoss) return { kept: making.logSize, ended: false };
    const log = continued(making.logSize, report);
    await writeMaking(tx, report.workerId, report.imageId, {
      state,
      log,
      digest: state === "ready" ? report.digest : undefined,
      size: state === "ready" ? report.size : 0,
      defaults: state === "ready" ? report.defaults : undefined,
      error: state === "failed" ? cleaned(report.error).slice(0, MAX_ERROR_CHARACTERS) : undefined,
    });
    const logSize = making.logSize + (log === undefined ? 0 : Buffer.byteLength(log.text));
    // What goes beyond the bound is acknowledged, and dropped.
    const toldEnd = logSize < IMAGE_LIMITS.logBytes ? 0 : report.logOffset + Buffer.byteLength(report.log);
    return { kept: Math.max(logSize, toldEnd), ended: isFinal(state) };
  });
  if (ended) await deps.contexts.remove(report.imageId);
  deps.hub.wake(imageTopic(report.imageId));
  return kept;
}

/** The piece if it continues the log, bounded; undefined where there is nothing to add. */
function continued(logSize: number, { logOffset, log }: MakingReport): { offset: number; text: string } | undefined {
  if (log === "" || logOffset !== logSize || logSize >= IMAGE_LIMITS.logBytes) return undefined;
  const text = cleaned(log);
  const room = IMAGE_LIMITS.logBytes - logSize;
  if (Buffer.byteLength(text) <= room) return { offset: logSize, text };
  return { offset: logSize, text: `${Buffer.from(text).subarray(0, room).toString()}${CUT}` };
}

/** PostgreSQL keeps no NUL. As long as before, in bytes: offsets go on counting. */
function cleaned(text: string): string {
  return text.replaceAll("\0", " ");
}

/** A context that is complete, for the worker that builds from it. */
export async function* readContext(
  deps: ServiceDeps,
  request: { readonly workerId: string; readonly imageId: string; readonly offset: number },
): AsyncGenerator<Uint8Array, void, undefined> {
  checkId("worker", "worker_id", request.workerId);
  checkId("image", "image_id", request.imageId);
  const making = await inTransaction(deps.db, (tx) => lockMaking(tx, request.workerId, request.imageId));
  if (making === undefined || isFinal(making.state) || making.source.kind !== "dockerfile") {
    throw new AppError("NotFound", "image_id: is not made by this worker", { field: "image_id" });
  }
  if (!Number.isSafeInteger(request.offset) || request.offset < 0 || request.offset > making.source.contextSize) {
    throw invalidArgument("offset", "is not within the context");
  }
  if (making.source.contextSize > 0) yield* deps.contexts.read(request.imageId, request.offset);
}
