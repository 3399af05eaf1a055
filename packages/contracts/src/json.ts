// Messages as strict JSON, by their schemas at run time: what serves the same calls over HTTP.

export type { JsonObject } from "@bufbuild/protobuf";
export type { JsonRequest } from "./json/convert.ts";
export { eventName, messageToJson, requestFromJson } from "./json/convert.ts";
export type { Fault } from "./json/fault.ts";
export { SchemaError } from "./json/fault.ts";
export type { Params } from "./json/params.ts";
export { paramsToJson } from "./json/params.ts";
export type { MethodSchema } from "./json/registry.ts";
export { methodSchema, registry } from "./json/registry.ts";
export { LOST_KEY, requestFault } from "./json/wire.ts";
