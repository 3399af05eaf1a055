// Thin handlers of what programs of a workspace call about images: ImageService.
import type { BoundService } from "@sallyport/appkit/service";
import { bindService } from "@sallyport/appkit/service";
import { ImageServiceService } from "@sallyport/contracts/grpc";
import type { ServiceDeps } from "../services/deps.ts";
import {
  cancelImage,
  createImage,
  getImage,
  listImagePage,
  putContext,
  removeImage,
  watchImage,
} from "../services/images.ts";
import { getCredentials, removeCredential, setCredential } from "../services/registry-credentials.ts";
import { fromCreateImage, toCredential, toImage } from "./convert-image.ts";
import { workspaceOf } from "./tenant-handlers.ts";

export function imageService(deps: ServiceDeps): BoundService {
  return bindService(ImageServiceService, {
    async createImage(request, context) {
      const { image, contextOffset } = await createImage(workspaceOf(context), deps, fromCreateImage(request));
      return { image: toImage(image), contextOffset };
    },
    async putBuildContext(request, context) {
      return { acceptedOffset: await putContext(workspaceOf(context), deps, request) };
    },
    async getImage(request, context) {
      return { image: toImage(await getImage(workspaceOf(context), deps, request.imageId)) };
    },
    async listImages(request, context) {
      const { images, nextPageToken } = await listImagePage(workspaceOf(context), deps, request);
      return { images: images.map(toImage), nextPageToken };
    },
    async *watchImage(request, context) {
      for await (const event of watchImage(workspaceOf(context), deps, request, context.signal)) {
        yield event.kind === "log"
          ? { event: { $case: "log", value: { offset: event.offset, text: event.text } } }
          : { event: { $case: "image", value: toImage(event.image) } };
      }
    },
    async cancelImage(request, context) {
      return { image: toImage(await cancelImage(workspaceOf(context), deps, request.imageId)) };
    },
    async deleteImage(request, context) {
      await removeImage(workspaceOf(context), deps, request.imageId);
      return {};
    },
    async setRegistryCredential(request, context) {
      return { credential: toCredential(await setCredential(workspaceOf(context), deps, request)) };
    },
    async listRegistryCredentials(_request, context) {
      return { credentials: (await getCredentials(workspaceOf(context), deps)).map(toCredential) };
    },
    async deleteRegistryCredential(request, context) {
      await removeCredential(workspaceOf(context), deps, request.registry);
      return {};
    },
  });
}
