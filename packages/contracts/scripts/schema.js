// What the generators of the OpenAPI document and the reference read of proto/: services, messages and their comments.
import { createFileRegistry, fromBinary, ScalarType } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

/** The descriptor set, with source info, as a registry. */
export function readSchema(bytes) {
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
}

/** Services of proto/ with their methods, in the order of their names. */
export function servicesOf(registry) {
  return [...registry]
    .filter((type) => type.kind === "service" && type.typeName.startsWith("sallyport."))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** "/sallyport.v1.SandboxService/GetSandbox". */
export function pathOf(method) {
  return `/${method.parent.typeName}/${method.name}`;
}

/** What proto/ says of a thing, as one paragraph; "" when it says nothing. */
export function commentOf(desc) {
  const path = placeOf(desc).join(".");
  const { location = [] } = fileOf(desc).proto.sourceCodeInfo ?? {};
  const found = location.find((one) => one.path.join(".") === path && one.leadingComments !== "");
  return (found?.leadingComments ?? "").trim().replaceAll(/\s*\n\s*/g, " ");
}

function fileOf(desc) {
  return desc.file ?? desc.parent.file;
}

/** Where a thing stands in its file, as numbers of google/protobuf/descriptor.proto and places in their lists. */
function placeOf(desc) {
  const { kind, parent } = desc;
  switch (kind) {
    case "service":
      return [6, fileOf(desc).services.indexOf(desc)];
    case "rpc":
      return [...placeOf(parent), 2, parent.methods.indexOf(desc)];
    case "field":
      return [...placeOf(parent), 2, parent.fields.indexOf(desc)];
    case "enum_value":
      return [...placeOf(parent), 2, parent.values.indexOf(desc)];
    case "enum": {
      const place = (parent ?? fileOf(desc)).proto.enumType.indexOf(desc.proto);
      return parent === undefined ? [5, place] : [...placeOf(parent), 4, place];
    }
    case "message": {
      // Not the list of descriptors: that one leaves out the entries of maps.
      const list = parent === undefined ? fileOf(desc).proto.messageType : parent.proto.nestedType;
      return [...(parent === undefined ? [4] : [...placeOf(parent), 3]), list.indexOf(desc.proto)];
    }
    default:
      throw new Error(`no place for a ${kind}`);
  }
}

/** Whether a message is written in JSON in a way of its own. */
export function isWellKnown(message) {
  return message.typeName.startsWith("google.protobuf.");
}

const SCALAR_NAMES = Object.fromEntries(
  Object.entries(ScalarType).map(([name, number]) => [number, name.toLowerCase()]),
);

/** The type of a field as proto/ writes it, e.g. "map<string, string>"; `link` turns the name of a message or enum into text. */
export function typeText(field, link = (type) => type.name) {
  const single = field.message ?? field.enum;
  const name = single === undefined ? SCALAR_NAMES[field.scalar] : link(single);
  if (field.fieldKind === "map") return `map<${SCALAR_NAMES[field.mapKey]}, ${name}>`;
  return field.fieldKind === "list" ? `repeated ${name}` : name;
}

/** Every message and enum that a message leads to, itself first. */
export function reachable(roots) {
  const found = new Map();
  const visit = (type) => {
    if (found.has(type.typeName)) return;
    found.set(type.typeName, type);
    if (type.kind !== "message" || isWellKnown(type)) return;
    for (const field of type.fields) {
      const next = field.message ?? field.enum;
      if (next !== undefined) visit(next);
    }
  };
  for (const root of roots) visit(root);
  return [...found.values()];
}
