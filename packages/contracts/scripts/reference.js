// docs/reference/api.md: every call, its HTTP route, its callers, and every field, from proto/ and its comments.
import { commentOf, isWellKnown, pathOf, reachable, servicesOf, typeText } from "./schema.js";

/** The page as Markdown. */
export function referenceOf(registry, routes, principals) {
  const services = servicesOf(registry);
  const byMethod = new Map(routes.map((route) => [route.method, route]));
  const roots = services.flatMap((service) => service.methods).flatMap((method) => [method.input, method.output]);
  const shared = reachable(roots).filter(
    (type) => !roots.includes(type) && !(type.kind === "message" && isWellKnown(type)),
  );
  const lines = [
    "# API reference",
    "",
    "Generated from `proto/` by `pnpm run generate`; not to be edited.",
    "",
    "Every call is served over gRPC; those with a route are served over HTTP too, with messages as ProtoJSON: field names in",
    "lowerCamelCase (the spelling below is taken as well), whole numbers of 64 bits as strings, bytes as base64, times as",
    "RFC 3339. The fields of a route's path and, of a `GET` or `DELETE`, of its query (`name=text`, repeated for lists,",
    "`name[key]=text` for maps) are those of the request; otherwise they are the JSON body. Streams are server-sent events.",
    "[openapi.json](openapi.json) says the same for machines.",
    "",
    ...services.map((service) => `- [${service.name}](#${service.name.toLowerCase()})`),
    "- [Messages](#messages)",
    "",
  ];
  for (const service of services) {
    lines.push(`## ${service.name}`, "", ...paragraph(service));
    for (const method of service.methods) lines.push(...call(method, byMethod.get(pathOf(method)), principals));
  }
  lines.push("## Messages", "");
  for (const type of shared.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))) {
    lines.push(`### ${nameOf(type)}`, "", ...paragraph(type), ...(type.kind === "enum" ? values(type) : fields(type)));
  }
  return `${lines.join("\n").trimEnd()}\n`;
}

function call(method, route, principals) {
  const path = pathOf(method);
  const stream = method.methodKind === "server_streaming" ? ", a stream" : "";
  return [
    `### ${method.name}`,
    "",
    ...paragraph(method.input),
    ...paragraph(method),
    ...(route === undefined ? [] : [`- HTTP: \`${route.verb} ${route.path}\``]),
    `- gRPC: \`${path}\`${stream}`,
    `- For: ${principals[path].join(", ")}`,
    "",
    ...part("Request", method.input),
    ...part("Answer", method.output),
  ];
}

function part(title, message) {
  return message.fields.length === 0 ? [`${title}: nothing.`, ""] : [`${title}:`, "", ...fields(message)];
}

function fields(message) {
  const rows = message.fields.map((field) => {
    const rivals = field.oneof?.fields.filter((other) => other !== field).map((other) => `\`${other.name}\``) ?? [];
    const notes = [
      commentOf(field),
      rivals.length === 0 ? "" : `Excludes ${rivals.join(", ")}.`,
      field.proto.proto3Optional ? "Optional." : "",
    ];
    return [`\`${field.name}\``, typeText(field, link), notes.filter((note) => note !== "").join(" ")];
  });
  return table(["field", "type", ""], rows);
}

function values(type) {
  return table(
    ["value", ""],
    type.values.map((value) => [`\`${value.name}\``, commentOf(value)]),
  );
}

function link(type) {
  if (type.kind === "message" && isWellKnown(type)) return type.name;
  return `[${nameOf(type)}](#${nameOf(type).toLowerCase().replaceAll(".", "")})`;
}

function nameOf(type) {
  return type.typeName.replace(/^sallyport\.v1\./, "");
}

function paragraph(desc) {
  const text = commentOf(desc);
  return text === "" ? [] : [escaped(text), ""];
}

function table(heads, rows) {
  const line = (cells) => `| ${cells.map((cell) => escaped(cell).replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(heads), line(heads.map(() => "---")), ...rows.map(line), ""];
}

/** Angle brackets of a type are no HTML. */
function escaped(text) {
  return text.replaceAll("<", "&lt;").replaceAll("[A-Za-z", "\\[A-Za-z").replaceAll("[a-z", "\\[a-z");
}
