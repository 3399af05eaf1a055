// The schemas of all messages at run time, from the descriptor set that proto/ was compiled to.
import type { DescMessage, FileRegistry } from "@bufbuild/protobuf";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { DESCRIPTOR_SET_BASE64 } from "../gen/descriptor-set.ts";

/** What a method takes and answers with. */
export interface MethodSchema {
  readonly input: DescMessage;
  readonly output: DescMessage;
}

/** Every message, enum and service of proto/ and what it imports. */
export const registry: FileRegistry = createFileRegistry(
  fromBinary(FileDescriptorSetSchema, Buffer.from(DESCRIPTOR_SET_BASE64, "base64")),
);

const METHODS: ReadonlyMap<string, MethodSchema> = new Map(
  [...registry]
    .filter((type) => type.kind === "service")
    .flatMap((service) => service.methods)
    .map((method) => [`/${method.parent.typeName}/${method.name}`, { input: method.input, output: method.output }]),
);

/** The schema of a method by its gRPC path. Throws TypeError for a path that proto/ does not have. */
export function methodSchema(path: string): MethodSchema {
  const schema = METHODS.get(path);
  if (schema === undefined) throw new TypeError(`${path} is no method of proto/`);
  return schema;
}
