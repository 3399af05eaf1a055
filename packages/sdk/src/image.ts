// What a sandbox's file system starts from.

let referenceOfImage: (image: Image) => string;

/** An image. A lazy value: naming one does nothing. */
export class Image {
  static {
    referenceOfImage = (image) => image.#reference;
  }

  /** The platform's own: a small Debian with Python 3 and curl. */
  static readonly default: Image = new Image("default");

  readonly #reference: string;

  private constructor(reference: string) {
    this.#reference = reference;
  }

  toString(): string {
    return this.#reference;
  }
}

/** How an image is named on the wire. */
export function imageReference(image: Image | string): string {
  return typeof image === "string" ? image : referenceOfImage(image);
}
