// HTTP beside gRPC: the same services by the routes of proto/.

export { mustBeOfType, streamBody } from "./body.ts";
export type { StreamTarget } from "./events.ts";
export { sendBytes } from "./events.ts";
export { MAX_CALLS_PER_WORKSPACE } from "./limits.ts";
export { commonHeaders } from "./problem.ts";
export type { RawRoute, RestCall, RestOptions, Resume } from "./rest.ts";
export type { HttpListen, HttpServer, HttpServerOptions } from "./server.ts";
export { startHttpServer } from "./server.ts";
