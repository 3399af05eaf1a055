// What a sandbox's file system starts from, as users hold it.
import type { Image as WireImage } from "@sallyport/contracts";
import { isId } from "@sallyport/contracts";
import { callUnary } from "@sallyport/contracts/grpc";
import type { Client } from "./client.ts";
import { connectionsOf } from "./client.ts";
import { sdkError } from "./errors.ts";
import type { ImageInfo } from "./image-info.ts";
import { toImageInfo } from "./image-info.ts";
import type { ImageRecipe } from "./image-make.ts";
import { makeImage } from "./image-make.ts";
import type { CallOptions, Scope } from "./scope.ts";
import type { Connections } from "./transport.ts";
import { scopeOf } from "./transport.ts";

/** How {@link Image.build} builds. No deadline by default; one that passes, or an abort, cancels the making. */
export interface BuildOptions extends CallOptions {
  /** Called with each line of the log. */
  readonly onLog?: ((line: string) => void) | undefined;
  /** Makes it anew, even if there is one of the same source. */
  readonly force?: boolean | undefined;
}

const DEFAULT_TIMEOUT_MS = 60_000;

type Recipe = { readonly kind: "named"; readonly name: string; readonly info?: ImageInfo } | ImageRecipe;

let recipeOfImage: (image: Image) => Recipe;
let imageOf: (wire: WireImage) => Image;

/** An image. A lazy value: naming one does nothing; it is pulled or built by {@link Image.build}, or by the first create. */
export class Image {
  static {
    recipeOfImage = (image) => image.#recipe;
    imageOf = (wire) => new Image({ kind: "named", name: wire.id, info: toImageInfo(wire) });
  }

  /** The platform's own: a small Debian with Python 3 and curl. */
  static readonly default: Image = new Image({ kind: "named", name: "default" });

  readonly #recipe: Recipe;

  private constructor(recipe: Recipe) {
    this.#recipe = recipe;
  }

  /**
   * An image of a registry, e.g. `python:3.12`, `registry.example.com/team/app@sha256:…`. Its environment, working
   * directory and user hold in sandboxes that start from it; its command is started only where it is asked for
   * (`image.info.command`).
   */
  static fromRegistry(reference: string): Image {
    return new Image({ kind: "registry", reference });
  }

  /**
   * An image that a Dockerfile describes. `path` is the file; `context` is the directory of what it copies, by default the
   * file's own where it has a COPY or an ADD. A `.dockerignore` in it is honoured. `RUN` runs under gVisor and reaches
   * what an open sandbox does; features of BuildKit, `ADD` of addresses and `ONBUILD` are refused.
   */
  static fromDockerfile(path: string, options: { readonly context?: string | undefined } = {}): Image {
    return new Image({ kind: "dockerfile", path, context: options.context });
  }

  /**
   * An image of this workspace that was made before.
   *
   * @throws SallyportError `NotFound`; `InvalidArgument` with field `id`.
   */
  static async fromId(id: string, options: CallOptions = {}): Promise<Image> {
    const connections = connectionsOf(options.client);
    const scope = scopeOf("Image.fromId", options, connections, DEFAULT_TIMEOUT_MS);
    const { image } = await connections.callApi(scope, ({ images }, call) =>
      callUnary(images, images.getImage, { imageId: id }, call),
    );
    return made(image);
  }

  /** The images of the workspace, newest first. `timeoutMs` is the deadline of each page. */
  static async *list(options: CallOptions = {}): AsyncGenerator<ImageInfo, void> {
    const connections = connectionsOf(options.client);
    let pageToken = "";
    do {
      const scope = scopeOf("Image.list", options, connections, DEFAULT_TIMEOUT_MS);
      const request = { pageSize: 0, pageToken };
      const page = await connections.callApi(scope, ({ images }, call) =>
        callUnary(images, images.listImages, request, call),
      );
      for (const image of page.images) yield toImageInfo(image);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  }

  /**
   * Gives an image up; sandboxes that run from it go on.
   *
   * @throws SallyportError `NotFound`; `InvalidArgument` with field `id`.
   */
  static async delete(id: string, options: CallOptions = {}): Promise<void> {
    const connections = connectionsOf(options.client);
    const scope = scopeOf("Image.delete", options, connections, DEFAULT_TIMEOUT_MS);
    await connections.callApi(scope, ({ images }, call) =>
      callUnary(images, images.deleteImage, { imageId: id }, call),
    );
  }

  /** What the platform said of it: of an image that was made or found, not of a mere name. */
  get info(): ImageInfo | undefined {
    return this.#recipe.kind === "named" ? this.#recipe.info : undefined;
  }

  /**
   * Pulls or builds it, or finds what was made of the same source before, and answers with the image that was made.
   *
   * @throws SallyportError `InvalidArgument` for a reference or a Dockerfile that is refused; `ImageBuildFailed` with the
   * reason; `ResourceExhausted`; `Cancelled` when somebody cancels it.
   */
  async build(options: BuildOptions = {}): Promise<Image> {
    if (this.#recipe.kind === "named") return this;
    const connections = connectionsOf(options.client);
    const scope = scopeOf("Image.build", options, connections);
    return made(await makeImage(connections, scope, this.#recipe, options));
  }

  toString(): string {
    const recipe = this.#recipe;
    if (recipe.kind === "named") return recipe.name;
    return recipe.kind === "registry" ? recipe.reference : recipe.path;
  }
}

function made(wire: WireImage | undefined): Image {
  if (wire === undefined) throw sdkError("Internal", "the platform answered without an image");
  return imageOf(wire);
}

/** How an image is named on the wire; it is made first where that is needed. A text that is no name is a reference. */
export async function imageName(
  image: Image | string | undefined,
  connections: Connections,
  scope: () => Scope,
): Promise<string | undefined> {
  if (image === undefined) return undefined;
  const recipe = typeof image === "string" ? recipeOfText(image) : recipeOfImage(image);
  if (recipe.kind === "named") return recipe.name;
  return (await makeImage(connections, scope(), recipe, {})).id;
}

function recipeOfText(text: string): Recipe {
  return text === "default" || isId("image", text)
    ? { kind: "named", name: text }
    : { kind: "registry", reference: text };
}

/** A credential of a registry, without its password. */
export interface RegistryInfo {
  readonly registry: string;
  readonly username: string;
  readonly createdAt: Date | undefined;
}

/** Credentials of registries: kept encrypted by the platform, one for each registry, used when it pulls for this workspace. */
export class Registry {
  private constructor() {}

  /**
   * Keeps a credential in place of the one before.
   *
   * @throws SallyportError `InvalidArgument` with field `registry`, `username` or `password`; `ResourceExhausted`.
   */
  static async login(
    registry: string,
    credential: { readonly username: string; readonly password: string },
    options: CallOptions = {},
  ): Promise<void> {
    const { connections, scope } = of("Registry.login", options);
    const request = { registry, username: credential.username, password: credential.password };
    await connections.callApi(scope, ({ images }, call) =>
      callUnary(images, images.setRegistryCredential, request, call),
    );
  }

  static async list(options: CallOptions = {}): Promise<readonly RegistryInfo[]> {
    const { connections, scope } = of("Registry.list", options);
    const { credentials } = await connections.callApi(scope, ({ images }, call) =>
      callUnary(images, images.listRegistryCredentials, {}, call),
    );
    return credentials.map(({ registry, username, createdAt }) => ({ registry, username, createdAt }));
  }

  /** @throws SallyportError `NotFound` where there is no credential for it. */
  static async logout(registry: string, options: CallOptions = {}): Promise<void> {
    const { connections, scope } = of("Registry.logout", options);
    await connections.callApi(scope, ({ images }, call) =>
      callUnary(images, images.deleteRegistryCredential, { registry }, call),
    );
  }
}

function of(what: string, options: CallOptions & { readonly client?: Client | undefined }) {
  const connections = connectionsOf(options.client);
  return { connections, scope: scopeOf(what, options, connections, DEFAULT_TIMEOUT_MS) };
}
