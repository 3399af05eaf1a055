// The OpenAPI document of what is served over HTTP.

export { OPENAPI_JSON } from "./gen/openapi.ts";
