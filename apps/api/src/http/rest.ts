// The api over HTTP: the tenants' services, by the routes of proto/.
import type { CallPlaces } from "@sallyport/appkit/call-places";
import type { HttpServer, RawRoute, Resume } from "@sallyport/appkit/http";
import { startHttpServer } from "@sallyport/appkit/http";
import type { Logger } from "@sallyport/appkit/logger";
import type { Authenticate } from "@sallyport/appkit/principals";
import type { BoundService } from "@sallyport/appkit/service";
import { WatchImageResponse, WatchSandboxEventsResponse } from "@sallyport/contracts";
import { OPENAPI_JSON } from "@sallyport/contracts/openapi";

export interface RestDoor {
  readonly listen: { readonly host: string; readonly port: number };
  readonly services: readonly BoundService[];
  readonly authenticate: Authenticate;
  readonly logger: Logger;
  readonly places: CallPlaces;
  /** Public keys, for everybody. */
  readonly jwks: RawRoute;
}

/** Opens the door of REST. Rejects when the address cannot be had. */
export function openRestDoor(door: RestDoor): Promise<HttpServer> {
  const { jwks, listen, ...rest } = door;
  return startHttpServer({
    ...rest,
    listen: { kind: "tcp", ...listen },
    resume: RESUME,
    rawRoutes: [jwks],
    openapi: OPENAPI_JSON,
  });
}

const RESUME: Readonly<Record<string, Resume>> = {
  "/sallyport.v1.SandboxService/WatchSandboxEvents": {
    field: "after_seq",
    placeAfter: (message) => WatchSandboxEventsResponse.decode(message).event?.seq,
  },
  "/sallyport.v1.ImageService/WatchImage": {
    field: "offset",
    placeAfter(message) {
      const { event } = WatchImageResponse.decode(message);
      return event?.$case === "log" ? event.value.offset + Buffer.byteLength(event.value.text) : undefined;
    },
  },
};
