// What an image of a workspace is.
//
//   pending ──▶ building ──▶ ready
//      │            ├──────▶ failed
//      └────────────┴──────▶ cancelled

/** pending: waits for its context or a worker. building: being pulled or built. The other three are final. */
export type ImageState = "pending" | "building" | "ready" | "failed" | "cancelled";

export type ImageSource =
  | { readonly kind: "registry"; readonly reference: string }
  | {
      readonly kind: "dockerfile";
      readonly dockerfile: string;
      readonly contextSize: number;
      /** In hexadecimal; empty without a context. */
      readonly contextSha256: string;
    };

/** What sandboxes take from it. */
export interface ImageDefaults {
  readonly uid: number;
  readonly gid: number;
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly workdir: string;
  readonly command: readonly string[];
}

export interface WorkspaceImage {
  readonly id: string;
  readonly workspaceId: string;
  readonly state: ImageState;
  readonly source: ImageSource;
  readonly contextComplete: boolean;
  readonly workerId: string | undefined;
  readonly digest: string | undefined;
  readonly size: number;
  readonly defaults: ImageDefaults | undefined;
  readonly error: string | undefined;
  /** Bytes of its log. */
  readonly logSize: number;
  readonly createdAt: Date;
}

/** Whether nothing of it will change any more. */
export function isFinal(state: ImageState): boolean {
  return state === "ready" || state === "failed" || state === "cancelled";
}

/** Bounds per workspace and per image, by their names in messages. */
export const IMAGE_LIMITS = {
  images: 200,
  imagesInTheMaking: 4,
  contextBytes: 1024 ** 3,
  contextBytesInAll: 4 * 1024 ** 3,
  contextPieceBytes: 1024 ** 2,
  logBytes: 1024 ** 2,
  registryCredentials: 50,
} as const;

/** A context that nobody completes is thrown away after so long, and its image is cancelled. */
export const CONTEXT_LIFE_MS: number = 24 * 3_600_000;

/** An image that was given up is remembered for so long, for workers that are on their way with it. */
export const DELETED_IMAGE_LIFE_MS: number = 3_600_000;

/** How many of the last lines of a log an error shows. */
export const SHOWN_LOG_LINES = 10;
