// Why the bytes of a request will not do, though the schema's own reader may take them: our messages keep whole numbers
// as JavaScript numbers and maps as plain objects.
import type { DescMessage, Message } from "@bufbuild/protobuf";
import { fromBinary } from "@bufbuild/protobuf";
import type { ReflectMessage } from "@bufbuild/protobuf/reflect";
import { isReflectList, isReflectMap, isReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import type { Fault } from "./fault.ts";
import { methodSchema } from "./registry.ts";

/** A plain object does not keep an entry of this name. */
export const LOST_KEY = "__proto__";

/** What is wrong with the bytes of a method's request; undefined when nothing is. */
export function requestFault(path: string, bytes: Uint8Array): Fault | undefined {
  const desc = methodSchema(path).input;
  const message = decoded(desc, bytes);
  if (message === undefined) return { field: undefined, reason: "the request is no message of its type" };
  return faultIn(reflect(desc, message), "");
}

function decoded(desc: DescMessage, bytes: Uint8Array): Message | undefined {
  try {
    return fromBinary(desc, bytes);
  } catch {
    return undefined; // that is the answer
  }
}

function faultIn(message: ReflectMessage, path: string): Fault | undefined {
  for (const field of message.sortedFields) {
    if (!message.isSet(field)) continue;
    const fault = faultOf(message.get(field), path === "" ? field.name : `${path}.${field.name}`);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function faultOf(value: unknown, path: string): Fault | undefined {
  if (typeof value === "bigint" && !Number.isSafeInteger(Number(value))) {
    return { field: path, reason: "must be a whole number of at most 53 bits" };
  }
  if (isReflectMessage(value)) return faultIn(value, path);
  if (isReflectList(value)) {
    for (const [index, entry] of [...value].entries()) {
      const fault = faultOf(entry, `${path}[${index}]`);
      if (fault !== undefined) return fault;
    }
  }
  if (isReflectMap(value)) {
    for (const [key, entry] of value) {
      if (key === LOST_KEY) return { field: path, reason: `must not have "${LOST_KEY}" as a name` };
      const fault = faultOf(entry, `${path}.${String(key)}`);
      if (fault !== undefined) return fault;
    }
  }
  return undefined;
}
