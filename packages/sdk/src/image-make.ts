// Making an image: asked for, given its context, followed to its end; cancelled when the call is over before that.
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { ImageSource, Image as WireImage } from "@sallyport/contracts";
import { ImageState } from "@sallyport/contracts";
import { callServerStream, callUnary } from "@sallyport/contracts/grpc";
import type { BuildContext } from "./build-context.ts";
import { openContext } from "./build-context.ts";
import { SallyportError, sdkError } from "./errors.ts";
import { Scope } from "./scope.ts";
import type { Connections } from "./transport.ts";

export type ImageRecipe =
  | { readonly kind: "registry"; readonly reference: string }
  | { readonly kind: "dockerfile"; readonly path: string; readonly context: string | undefined };

export interface MakeOptions {
  readonly onLog?: ((line: string) => void) | undefined;
  readonly force?: boolean | undefined;
}

const CANCEL_MS = 10_000;
/** A piece of a context, and what else is in its message. */
const PUT_ATTEMPT_MS = 60_000;

/** Resolves with the image once it is ready. */
export async function makeImage(
  connections: Connections,
  scope: Scope,
  recipe: ImageRecipe,
  options: MakeOptions,
): Promise<WireImage> {
  const { source, context } = await sourceOf(recipe, scope);
  const request = { source, force: options.force ?? false };
  const { image, contextOffset } = await connections.callApi(scope, ({ images }, call) =>
    callUnary(images, images.createImage, request, call),
  );
  if (image === undefined) throw sdkError("Internal", "the platform answered without an image");
  if (image.state === ImageState.READY && options.onLog === undefined) return image;
  try {
    if (context !== undefined && image.state === ImageState.PENDING) {
      await send(connections, scope, context, image.id, contextOffset);
    }
    return await follow(connections, scope, image.id, options.onLog);
  } catch (error) {
    if (scope.signal.aborted || SallyportError.is(error, "DeadlineExceeded")) {
      connections.inBackground(cancel(connections, image.id));
    }
    throw error;
  }
}

async function sourceOf(
  recipe: ImageRecipe,
  scope: Scope,
): Promise<{ readonly source: ImageSource; readonly context: BuildContext | undefined }> {
  if (recipe.kind === "registry") {
    return { source: { source: { $case: "registryReference", value: recipe.reference } }, context: undefined };
  }
  const dockerfile = await readDockerfile(recipe.path);
  const copies = /^[ \t]*(?:COPY|ADD)[ \t]/im.test(dockerfile);
  const directory = recipe.context ?? (copies ? dirname(recipe.path) : undefined);
  const context = directory === undefined ? undefined : await openContext(directory, scope.signal);
  scope.throwIfOver();
  const value = { dockerfile, contextSize: context?.size ?? 0, contextSha256: context?.sha256 ?? "" };
  return { source: { source: { $case: "dockerfile", value } }, context };
}

async function readDockerfile(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw sdkError("InvalidArgument", `path: ${path} cannot be read`, { field: "path", cause: error });
  }
}

async function send(
  connections: Connections,
  scope: Scope,
  context: BuildContext,
  imageId: string,
  from: number,
): Promise<void> {
  let offset = from;
  for await (const data of context.read(from)) {
    const request = { imageId, offset, data: Buffer.from(data) };
    const { acceptedOffset } = await connections.callApi(
      scope,
      ({ images }, call) => callUnary(images, images.putBuildContext, request, call),
      { maxAttemptMs: PUT_ATTEMPT_MS },
    );
    // Somebody else who sends the same may be ahead: what is there already is skipped by the platform.
    offset += data.length;
    if (acceptedOffset < offset) throw sdkError("Unavailable", "the platform has lost a part of the context");
  }
}

async function follow(
  connections: Connections,
  scope: Scope,
  imageId: string,
  onLog: ((line: string) => void) | undefined,
): Promise<WireImage> {
  let offset = 0;
  let rest = "";
  let last: WireImage | undefined;
  const tail: string[] = [];
  const line = (text: string) => {
    tail.push(text);
    if (tail.length > SHOWN_LOG_LINES) tail.shift();
    onLog?.(text);
  };
  const events = connections.streamApi(scope, ({ images }, call) =>
    callServerStream(images, images.watchImage, { imageId, offset }, call),
  );
  for await (const { event } of events) {
    if (event?.$case === "image") last = event.value;
    if (event?.$case !== "log") continue;
    offset = event.value.offset + Buffer.byteLength(event.value.text);
    const lines = (rest + event.value.text).split("\n");
    rest = lines.pop() ?? "";
    for (const text of lines) line(text);
  }
  if (rest !== "") line(rest);
  if (last === undefined) throw sdkError("Internal", "the platform did not say what became of the image");
  return judged(last, tail);
}

const SHOWN_LOG_LINES = 10;

function judged(image: WireImage, tail: readonly string[]): WireImage {
  if (image.state === ImageState.READY) return image;
  if (image.state === ImageState.CANCELLED) throw sdkError("Cancelled", `${image.id} was cancelled`);
  const log = tail.length === 0 ? "" : `; the end of its log:\n${tail.join("\n")}`;
  throw sdkError("ImageBuildFailed", `${image.id} could not be made: ${image.error || "no reason was given"}${log}`);
}

async function cancel(connections: Connections, imageId: string): Promise<void> {
  try {
    const scope = new Scope("cancelling", { timeoutMs: CANCEL_MS });
    await connections.callApi(scope, ({ images }, call) => callUnary(images, images.cancelImage, { imageId }, call));
  } catch {
    // Best effort: the caller has an error already, and a making ends by its own deadline.
  }
}
