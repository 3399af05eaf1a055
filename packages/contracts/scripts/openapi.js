// The OpenAPI 3.1 document of every method that proto/ gives an HTTP route.
import { ScalarType } from "@bufbuild/protobuf";
import { commentOf, isWellKnown, pathOf, reachable, servicesOf } from "./schema.js";

const BASE = {
  SandboxIO: {
    servers: [
      {
        url: "{ioUrl}",
        description: "The gateway of the sandbox: `url` of its IoAccess.",
        variables: { ioUrl: { default: "http://127.0.0.1:7353" } },
      },
    ],
    security: [{ sandboxToken: [] }],
  },
};

const OCTETS = { "application/octet-stream": { schema: { type: "string", format: "binary" } } };
const OFFSET_HEADER = {
  "Sallyport-Offset": { description: "Where the first byte of the answer is.", schema: { type: "integer" } },
};
/** Methods that also answer with bytes as they are, to `Accept: application/octet-stream`. */
const ALSO_BYTES = ["/sallyport.v1.SandboxIO/ReadOutput", "/sallyport.v1.SandboxIO/ReadFile"];

/** The document as an object. */
export function openapiOf(registry, routes, version) {
  const services = servicesOf(registry);
  const methods = new Map(services.flatMap((service) => service.methods).map((method) => [pathOf(method), method]));
  const served = routes.map((route) => ({ route, method: methods.get(route.method) }));
  const paths = {};
  for (const one of served) {
    paths[one.route.path] ??= {};
    paths[one.route.path][one.route.verb.toLowerCase()] = operation(one);
  }
  paths["/v1/files"].put = wholeFile(methods.get("/sallyport.v1.SandboxIO/WriteFile"));
  const answers = reachable(served.map(({ method }) => method.output));
  const inputs = served.map(({ method }) => method.input);
  const nested = reachable(inputs).filter((type) => !inputs.includes(type));
  const types = [...new Set([...answers, ...nested])].filter((type) => type.kind === "enum" || !isWellKnown(type));
  const schemas = Object.fromEntries(types.map((type) => [nameOf(type), schemaOf(type)]));
  for (const { route, method } of served.filter(({ route }) => hasBody(route))) {
    schemas[nameOf(method.input)] = { ...schemaOf(method.input, inPath(route)), additionalProperties: false };
  }
  const tags = services
    .filter((service) => served.some(({ method }) => method.parent === service))
    .map((service) => ({ name: service.name, description: commentOf(service) }));
  return {
    openapi: "3.1.0",
    info: {
      title: "Sallyport",
      version,
      description:
        "The calls of Sallyport over HTTP: messages as ProtoJSON (lowerCamelCase, whole numbers of 64 bits as strings, bytes as base64), errors as RFC 9457 problem details, streams as server-sent events.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "http://127.0.0.1:7352", description: "The api." }],
    security: [{ apiToken: [] }],
    tags,
    paths: sorted(paths),
    components: {
      securitySchemes: {
        apiToken: { type: "http", scheme: "bearer", description: "An API token of a workspace." },
        sandboxToken: {
          type: "http",
          scheme: "bearer",
          description: "The short-lived token of one sandbox: `token` of its IoAccess.",
        },
      },
      schemas: sorted({ ...schemas, Problem: PROBLEM }),
    },
  };
}

function operation({ route, method }) {
  const path = inPath(route);
  const body = hasBody(route);
  const parameters = method.input.fields
    .filter((field) => path.includes(field.name) || !body)
    .map((field) => parameter(field, path.includes(field.name)));
  if (route.serverStream) parameters.push(...resumption(method));
  return {
    operationId: method.name,
    tags: [method.parent.name],
    ...described(method, method.input),
    ...BASE[method.parent.name],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body ? { requestBody: { content: { "application/json": { schema: ref(method.input) } } } } : {}),
    responses: { 200: answer(route, method), default: problem() },
  };
}

function resumption(method) {
  const seeds = ["after_seq", "offset"];
  if (!method.input.fields.some((field) => seeds.includes(field.name)) || method.name === "ReadFile") return [];
  const description = "The id of the last event received: reading goes on after it.";
  return [{ name: "Last-Event-ID", in: "header", description, schema: { type: "string" } }];
}

function answer(route, method) {
  if (!route.serverStream) {
    return { description: "Done.", content: { "application/json": { schema: ref(method.output) } } };
  }
  const also = ALSO_BYTES.includes(route.method);
  return {
    description:
      "Server-sent events. `event` is the case of the message, or `message`; `data` is the message as JSON; `id`, where there is one, goes into `Last-Event-ID` to go on after a break. A last event `error` carries a Problem.",
    ...(also ? { headers: OFFSET_HEADER } : {}),
    content: { "text/event-stream": { schema: ref(method.output) }, ...(also ? OCTETS : {}) },
  };
}

function wholeFile(method) {
  const fields = method.input.fields.filter((field) => ["path", "mode"].includes(field.name));
  return {
    operationId: "WriteWholeFile",
    tags: [method.parent.name],
    summary: "Writes a whole file from the bytes of the body.",
    description:
      "Writes a whole file from the bytes of the body, of any length. It takes its place at the path once all of them are there.",
    ...BASE[method.parent.name],
    parameters: fields.map((field) => ({ ...parameter(field, false), required: field.name === "path" })),
    requestBody: { required: true, content: OCTETS },
    responses: {
      200: { description: "Done.", content: { "application/json": { schema: ref(method.output) } } },
      default: problem(),
    },
  };
}

function problem() {
  return {
    description: "Refused, or failed.",
    content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
  };
}

function parameter(field, isInPath) {
  const description = commentOf(field);
  return {
    name: isInPath || field.fieldKind !== "map" ? (isInPath ? field.name : field.jsonName) : field.jsonName,
    in: isInPath ? "path" : "query",
    required: isInPath,
    ...(description === "" ? {} : { description }),
    ...(field.fieldKind === "map" ? { style: "deepObject", explode: true } : {}),
    schema: schemaOfField(field),
  };
}

function schemaOf(type, without = []) {
  const described = commentOf(type);
  if (type.kind === "enum") {
    const lines = type.values.map((value) => [value.name, commentOf(value)]).filter(([, text]) => text !== "");
    const description = [described, ...lines.map(([name, text]) => `${name}: ${text}`)].filter((line) => line !== "");
    return { type: "string", enum: type.values.map((value) => value.name), description: description.join("\n") };
  }
  const oneofs = type.oneofs.map(
    (oneof) => `At most one of ${oneof.fields.map((field) => field.jsonName).join(", ")}.`,
  );
  const description = [described, ...oneofs].filter((line) => line !== "").join(" ");
  const fields = type.fields.filter((field) => !without.includes(field.name));
  return {
    type: "object",
    ...(description === "" ? {} : { description }),
    properties: Object.fromEntries(
      fields.map((field) => {
        const text = commentOf(field);
        return [field.jsonName, { ...schemaOfField(field), ...(text === "" ? {} : { description: text }) }];
      }),
    ),
  };
}

function schemaOfField(field) {
  const single = singleOf(field);
  if (field.fieldKind === "list") return { type: "array", items: single };
  return field.fieldKind === "map" ? { type: "object", additionalProperties: single } : single;
}

const SCALARS = {
  [ScalarType.STRING]: { type: "string" },
  [ScalarType.BOOL]: { type: "boolean" },
  [ScalarType.BYTES]: { type: "string", contentEncoding: "base64" },
  [ScalarType.INT32]: { type: "integer", format: "int32" },
  [ScalarType.UINT32]: { type: "integer", minimum: 0, maximum: 4_294_967_295 },
  [ScalarType.INT64]: { type: ["string", "integer"], format: "int64" },
  [ScalarType.UINT64]: { type: ["string", "integer"], format: "int64" },
  [ScalarType.DOUBLE]: { type: "number" },
};

function singleOf(field) {
  const { enum: desc, message, scalar } = field;
  if (desc !== undefined) return ref(desc);
  if (message === undefined) return { ...SCALARS[scalar] };
  if (message.typeName === "google.protobuf.Timestamp") return { type: "string", format: "date-time" };
  if (message.typeName === "google.protobuf.Struct") return { type: "object", additionalProperties: true };
  if (message.typeName === "google.protobuf.Value") return {}; // any JSON value, null too
  return ref(message);
}

function ref(type) {
  return { $ref: `#/components/schemas/${nameOf(type)}` };
}

/** "ReadOutputResponse.Chunk" for one that is declared in another. */
function nameOf(type) {
  return type.typeName.replace(/^sallyport\.v1\./, "");
}

function described(method, input) {
  const [own, request] = [commentOf(method), commentOf(input)];
  const description = [request, own].filter((text) => text !== "").join(" ");
  return description === "" ? {} : { summary: description.split(/(?<=\.) /)[0], description };
}

function inPath(route) {
  return [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
}

function hasBody({ verb }) {
  return verb === "POST" || verb === "PUT";
}

function sorted(object) {
  return Object.fromEntries(Object.entries(object).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

const PROBLEM = {
  type: "object",
  description: "RFC 9457 problem details.",
  required: ["type", "title", "status", "detail", "code", "requestId", "retryable"],
  properties: {
    type: { type: "string", description: '"urn:sallyport:error:" and the code.' },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    code: { type: "string", description: "One of the closed set of codes." },
    field: { type: "string", description: "The field of the request that is at fault, in proto spelling." },
    hint: { type: "string", description: "What would mend it." },
    requestId: { type: "string" },
    retryable: { type: "boolean", description: "Whether the same call may succeed later without a change." },
    retryAfterMs: { type: "integer" },
  },
};
