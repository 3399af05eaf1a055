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
  if (message !== undefined) return messageFault(desc, message);
  return tooDeep(desc, bytes) ?? { field: undefined, reason: "the request is no message of its type" };
}

/** What is wrong with a message that its schema takes; undefined when nothing is. */
export function messageFault(desc: DescMessage, message: Message): Fault | undefined {
  return faultIn(reflect(desc, message), "");
}

function decoded(desc: DescMessage, bytes: Uint8Array, recursionLimit = RECURSION_LIMIT): Message | undefined {
  try {
    return fromBinary(desc, bytes, { recursionLimit });
  } catch {
    return undefined; // that is the answer
  }
}

/** What readers of messages take, ours too. */
const RECURSION_LIMIT = 100;
/** No stack is too small for this. */
const LENIENT_LIMIT = 2_000;

/** The fault of a message that only its depth keeps from being read: JSON of the caller's is all that can be so deep. */
function tooDeep(desc: DescMessage, bytes: Uint8Array): Fault | undefined {
  const message = decoded(desc, bytes, LENIENT_LIMIT);
  if (message === undefined) return undefined;
  const given = reflect(desc, message);
  const field = given.sortedFields.find((one) => given.isSet(one) && isJsonType(one.message));
  return { field: field?.name, reason: "is nested too deep: 49 levels of JSON are the most" };
}

function isJsonType(desc: DescMessage | undefined): boolean {
  return desc !== undefined && ["Value", "Struct", "ListValue"].includes(desc.typeName.replace("google.protobuf.", ""));
}

function faultIn(message: ReflectMessage, path: string): Fault | undefined {
  // The fields of JSON as a message are no names that callers know.
  const isJson = isJsonType(message.desc);
  for (const field of message.sortedFields) {
    if (!message.isSet(field)) continue;
    const name = path === "" ? field.name : `${path}.${field.name}`;
    const fault = faultOf(message.get(field), isJson ? path : name);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

const ILL_FORMED = "must hold well-formed Unicode";

function faultOf(value: unknown, path: string): Fault | undefined {
  if (typeof value === "bigint" && !Number.isSafeInteger(Number(value))) {
    return { field: path, reason: "must be a whole number of at most 53 bits" };
  }
  if (typeof value === "string" && !value.isWellFormed()) return { field: path, reason: ILL_FORMED };
  if (isReflectMessage(value)) return faultIn(value, path);
  if (isReflectList(value)) {
    for (const [index, entry] of [...value].entries()) {
      const fault = faultOf(entry, `${path}[${index}]`);
      if (fault !== undefined) return fault;
    }
  }
  if (isReflectMap(value)) {
    for (const [key, entry] of value) {
      if (typeof key === "string" && !key.isWellFormed()) return { field: path, reason: ILL_FORMED };
      if (key === LOST_KEY) return { field: path, reason: `must not have "${LOST_KEY}" as a name` };
      const fault = faultOf(entry, `${path}.${String(key)}`);
      if (fault !== undefined) return fault;
    }
  }
  return undefined;
}
