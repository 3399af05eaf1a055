// The images that the api wishes of this worker: what is missing is made, a few at a time; what is not wished any more is
// broken off. Every step is told to the api until the api has it.
import type { Clock } from "@sallyport/appkit/clock";
import { fromGrpcError, isAppError } from "@sallyport/appkit/errors";
import type { Logger } from "@sallyport/appkit/logger";
import type { DesiredImage } from "@sallyport/contracts";
import { DesiredImage_Wish, ImageState, isId } from "@sallyport/contracts";
import type { ApiLink } from "../control/api-link.ts";
import { openGate } from "../instance/gate.ts";
import type { Engine } from "./engine/engine.ts";
import { ImageError } from "./errors.ts";
import { MAKING_TIMEOUT_MS, MAKINGS_AT_ONCE } from "./limits.ts";
import { makeImage } from "./make.ts";
import type { ImageStore } from "./store.ts";
import { MakingTeller } from "./teller.ts";

export interface ImageMakerOptions {
  readonly engine: Engine;
  readonly store: ImageStore;
  readonly link: Pick<ApiLink, "reportImage" | "readContext">;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Making {
  readonly cancel: AbortController;
  readonly done: Promise<void>;
}

/** An engine that ends amid a making is started again, and the making begun anew. */
const ATTEMPTS = 3;
const ENGINE_PAUSE_MS = 1_000;

export class ImageMaker implements AsyncDisposable {
  readonly #options: ImageMakerOptions;
  readonly #makings = new Map<string, Making>();
  /** Digests by image: what is to be kept. */
  readonly #wished = new Map<string, string>();
  readonly #gate = openGate(MAKINGS_AT_ONCE);
  #isClosed = false;

  constructor(options: ImageMakerOptions) {
    this.#options = options;
  }

  /** Follows wishes. A full list ends the making of everything that it does not name. */
  apply(desired: readonly DesiredImage[], isFull: boolean): void {
    if (this.#isClosed) return;
    for (const image of desired) {
      if (!isId("image", image.imageId)) continue;
      if (image.wish === DesiredImage_Wish.HAVE) this.#have(image);
      else if (image.wish === DesiredImage_Wish.DROP) this.#drop(image.imageId);
    }
    if (!isFull) return;
    const named = new Set(desired.map(({ imageId }) => imageId));
    for (const imageId of [...this.#makings.keys(), ...this.#wished.keys()])
      if (!named.has(imageId)) this.#drop(imageId);
  }

  wishedDigests(): Iterable<string> {
    return this.#wished.values();
  }

  #have(image: DesiredImage): void {
    const { imageId, digest } = image;
    if (digest !== "") {
      if (this.#wished.get(imageId) === digest) return;
      this.#wished.set(imageId, digest);
      if (!this.#options.store.has(digest)) this.#begin(imageId, (teller) => this.#tellLost(teller));
      return;
    }
    // Without a source it only says that a making goes on.
    if (image.source !== undefined) this.#begin(imageId, (teller, signal) => this.#make(image, teller, signal));
  }

  #drop(imageId: string): void {
    this.#wished.delete(imageId);
    this.#makings.get(imageId)?.cancel.abort(new Error("the image is not wished any more"));
  }

  #begin(imageId: string, work: (teller: MakingTeller, signal: AbortSignal) => Promise<void>): void {
    if (this.#makings.has(imageId)) return;
    const { link, clock, logger } = this.#options;
    const cancel = new AbortController();
    const run = async () => {
      await using teller = new MakingTeller({ imageId, link, clock, signal: cancel.signal });
      try {
        await work(teller, cancel.signal);
      } catch (error) {
        if (cancel.signal.aborted) return;
        if (isAppError(fromGrpcError(error), "NotFound")) return; // given up meanwhile
        logger.error({ err: error, imageId }, "what became of an image could not be told");
      }
    };
    const done = run().finally(() => this.#makings.delete(imageId));
    this.#makings.set(imageId, { cancel, done });
  }

  async #tellLost(teller: MakingTeller): Promise<void> {
    await teller.end({ state: ImageState.FAILED, error: "its files are gone from the machine: make it anew" });
  }

  async #make(image: DesiredImage, teller: MakingTeller, cancelled: AbortSignal): Promise<void> {
    const { logger, clock, store } = this.#options;
    const { imageId } = image;
    await teller.begin();
    const startedAt = clock.monotonicMs();
    try {
      const made = await this.#gate.pass(() => this.#attempt(image, teller, cancelled), cancelled);
      // Wished from now on, whatever the api says next: it is not collected before the api has told.
      this.#wished.set(imageId, made.digest);
      logger.info(
        { imageId, digest: made.digest, ms: Math.round(clock.monotonicMs() - startedAt) },
        "an image was made",
      );
      await teller.end({ state: ImageState.READY, ...made });
      if (!store.has(made.digest)) logger.error({ imageId }, "an image that was made is gone");
    } catch (error) {
      if (cancelled.aborted) return;
      const isKnown = error instanceof ImageError;
      logger[isKnown ? "info" : "error"]({ err: error, imageId }, "an image could not be made");
      await teller.end({ state: ImageState.FAILED, error: isKnown ? error.message : "the machine could not make it" });
    }
  }

  async #attempt(image: DesiredImage, teller: MakingTeller, cancelled: AbortSignal) {
    const { engine, store, link } = this.#options;
    const { imageId, source, registryUsername: username, registryPassword: password, cacheScope } = image;
    if (source === undefined) throw new ImageError("Refused", "the image has no source");
    const late = AbortSignal.timeout(MAKING_TIMEOUT_MS);
    const either = AbortSignal.any([cancelled, late]);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await engine.use(
          (running, signal) =>
            makeImage({
              source,
              login: username === "" && password === "" ? undefined : { username, password },
              cacheScope,
              engine: running,
              store,
              readContext: (reading) => link.readContext(imageId, reading),
              onLog: (text) => teller.log(text),
              signal,
            }),
          either,
        );
      } catch (error) {
        if (late.aborted)
          throw new ImageError("MakingFailed", `it was not made in ${MAKING_TIMEOUT_MS / 60_000} minutes`);
        const isEngine = error instanceof ImageError && error.code === "EngineFailed";
        if (!isEngine || attempt === ATTEMPTS || cancelled.aborted) throw error;
        teller.log("the engine has ended; once more from the beginning\n");
        // It may not have been noticed yet that it has.
        await this.#options.clock.sleep(ENGINE_PAUSE_MS, either);
      }
    }
  }

  /** Breaks off what is under way: the next worker begins it anew. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const { cancel } of this.#makings.values()) cancel.abort(new Error("the worker stops"));
    await Promise.all([...this.#makings.values()].map(({ done }) => done));
  }
}
