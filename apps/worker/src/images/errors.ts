// The one error of this room. Its message is shown to the tenant: it holds no secret and nothing of the machine.

export type ImageErrorCode =
  /** There is no engine on this machine. */
  | "NoEngine"
  /** The engine could not be started, or ended amid its work. */
  | "EngineFailed"
  /** What the tenant gave cannot be made into an image. */
  | "Refused"
  /** The registry, or a step of the build, said no. */
  | "MakingFailed";

export class ImageError extends Error {
  override readonly name = "ImageError";
  readonly code: ImageErrorCode;

  constructor(code: ImageErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
