// Where generated messages about images end: to and from what the services know. No judgement here.
import type {
  CreateImageRequest,
  DesiredImage as DesiredImageMessage,
  ImageDefaults as ImageDefaultsMessage,
  Image as ImageMessage,
  ImageSource as ImageSourceMessage,
  RegistryCredential,
  ReportImageRequest,
} from "@sallyport/contracts";
import { ImageState as StateCode, DesiredImage_Wish as WishCode } from "@sallyport/contracts";
import type { ImageDefaults, ImageSource, ImageState, WorkspaceImage } from "../domain/image.ts";
import type { CreateImageInput } from "../services/images.ts";
import type { DesiredImage, MakingReport } from "../services/worker-images.ts";
import type { RegistryCredentialRow } from "../store/registry-credentials.ts";

const STATES: Readonly<Record<ImageState, StateCode>> = {
  pending: StateCode.PENDING,
  building: StateCode.BUILDING,
  ready: StateCode.READY,
  failed: StateCode.FAILED,
  cancelled: StateCode.CANCELLED,
};

const REPORTED: ReadonlyMap<number, NonNullable<MakingReport["state"]>> = new Map([
  [StateCode.BUILDING, "building"],
  [StateCode.READY, "ready"],
  [StateCode.FAILED, "failed"],
]);

export function fromCreateImage(request: CreateImageRequest): CreateImageInput {
  const { source, force } = request;
  switch (source?.source?.$case) {
    case undefined:
      return { source: undefined, force };
    case "registryReference":
      return { source: { kind: "registry", reference: source.source.value }, force };
    case "dockerfile":
      return { source: { kind: "dockerfile", ...source.source.value }, force };
  }
}

function toSource(source: ImageSource): ImageSourceMessage {
  if (source.kind === "registry") return { source: { $case: "registryReference", value: source.reference } };
  const { dockerfile, contextSize, contextSha256 } = source;
  return { source: { $case: "dockerfile", value: { dockerfile, contextSize, contextSha256 } } };
}

export function toImage(image: WorkspaceImage): ImageMessage {
  const { id, createdAt, digest, size, error, defaults } = image;
  return {
    id,
    createdAt,
    size,
    state: STATES[image.state],
    source: toSource(image.source),
    digest: digest ?? "",
    error: error ?? "",
    defaults: defaults === undefined ? undefined : toDefaults(defaults),
  };
}

function toDefaults({ env, workdir, uid, gid, command }: ImageDefaults): ImageDefaultsMessage {
  return { env: Object.fromEntries(env), workdir, uid, gid, command: [...command] };
}

export function toCredential(row: RegistryCredentialRow): RegistryCredential {
  return { registry: row.registry, username: row.username, createdAt: row.created_at };
}

export function toDesiredImage(desired: DesiredImage): DesiredImageMessage {
  const none = { source: undefined, registryUsername: "", registryPassword: "", digest: "", cacheScope: "" };
  if (desired.wish === "drop") return { ...none, imageId: desired.imageId, wish: WishCode.DROP };
  const { image, login } = desired;
  const { imageId, digest, workspaceId } = image;
  const common = { ...none, imageId, wish: WishCode.HAVE };
  if (digest !== undefined) return { ...common, digest };
  return {
    ...common,
    source: toSource(image.source),
    registryUsername: login?.username ?? "",
    registryPassword: login?.password ?? "",
    cacheScope: workspaceId,
  };
}

export function fromMakingReport(request: ReportImageRequest): MakingReport {
  const { workerId, imageId, logOffset, log, digest, size, error, defaults } = request;
  return {
    workerId,
    imageId,
    logOffset,
    log,
    digest,
    size,
    error,
    state: REPORTED.get(request.state),
    defaults:
      defaults === undefined
        ? undefined
        : { ...defaults, env: Object.entries(defaults.env).toSorted(([a], [b]) => (a < b ? -1 : 1)) },
  };
}
