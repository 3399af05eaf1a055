// Images from the wire.
import type { Image as WireImage } from "@sallyport/contracts";
import { ImageState } from "@sallyport/contracts";

/** Where an image is in its making. `ready`, `failed` and `cancelled` are final. */
export type ImageStateName = "pending" | "building" | "ready" | "failed" | "cancelled";

/** An image as the platform describes it. */
export interface ImageInfo {
  /** `im-` and 26 characters. */
  readonly id: string;
  readonly state: ImageStateName;
  /** The reference, or "Dockerfile". */
  readonly source: string;
  readonly createdAt: Date | undefined;
  /** Of its root file system. Set once it is ready, as are the following. */
  readonly digest: string | undefined;
  /** Bytes of all its files. */
  readonly size: number;
  /** Why it failed. */
  readonly error: string | undefined;
  /** Its entrypoint and command. */
  readonly command: readonly string[] | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string | undefined;
}

const STATES: ReadonlyMap<ImageState, ImageStateName> = new Map<ImageState, ImageStateName>([
  [ImageState.PENDING, "pending"],
  [ImageState.BUILDING, "building"],
  [ImageState.READY, "ready"],
  [ImageState.FAILED, "failed"],
  [ImageState.CANCELLED, "cancelled"],
]);

export function toImageInfo(image: WireImage): ImageInfo {
  const { id, createdAt, digest, size, error, defaults } = image;
  const source = image.source?.source;
  return Object.freeze({
    id,
    // A state of a newer platform: all that is certain is that it is not final.
    state: STATES.get(image.state) ?? "building",
    source: source?.$case === "registryReference" ? source.value : "Dockerfile",
    createdAt,
    digest: digest === "" ? undefined : digest,
    size,
    error: error === "" ? undefined : error,
    command: defaults?.command,
    env: defaults?.env ?? {},
    workdir: defaults?.workdir,
  });
}
