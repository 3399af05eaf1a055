// SandboxIO over HTTP, by the routes of proto/, and the bytes of files and outputs as they are.
import type { Server } from "node:net";
import type { HttpServer, Resume } from "@sallyport/appkit/http";
import { startHttpServer } from "@sallyport/appkit/http";
import type { Logger } from "@sallyport/appkit/logger";
import type { Authenticate } from "@sallyport/appkit/principals";
import type { BoundService } from "@sallyport/appkit/service";
import { ReadOutputResponse } from "@sallyport/contracts";
import { OPENAPI_JSON } from "@sallyport/contracts/openapi";
import { RAW_ROUTES } from "./raw.ts";

export interface RestDoor {
  /** A listening TCP socket that somebody else made. */
  readonly listener: Server;
  readonly services: readonly BoundService[];
  readonly authenticate: Authenticate;
  readonly logger: Logger;
  readonly drainMs: number;
}

/** Opens the door of REST. */
export function openRestDoor(door: RestDoor): Promise<HttpServer> {
  const { listener, ...rest } = door;
  return startHttpServer({
    ...rest,
    listen: { kind: "accepted", listener },
    resume: RESUME,
    rawRoutes: RAW_ROUTES,
    openapi: OPENAPI_JSON,
  });
}

const RESUME: Readonly<Record<string, Resume>> = {
  "/sallyport.v1.SandboxIO/ReadOutput": {
    field: "offset",
    placeAfter(message) {
      const { event } = ReadOutputResponse.decode(message);
      if (event === undefined) return undefined;
      return event.$case === "chunk" ? event.value.offset + event.value.data.length : event.value.offset;
    },
  },
};
