// Bad input through the typed SDK: which option a field of proto/ is there, and how its calls are made of requests.
import type { DescField } from "@bufbuild/protobuf";
import { methodSchema } from "@sallyport/contracts/json";
import { goodMessage, typedValues, UNTYPED } from "./typed-values.ts";
import { fieldPaths } from "./values.ts";

/** A request as its fields are called in JSON, with values of JavaScript. */
export type TypedRequest = Readonly<Record<string, unknown>>;

/** One call of the SDK. */
export interface SdkCall {
  /** As users write it. */
  readonly name: string;
  /** Its method on the wire. */
  readonly method: string;
  /** By field of the request: the option that errors name, or several. Those of an option's own parts begin with it. */
  readonly options: Readonly<Record<string, string | readonly string[]>>;
  /** Fields at any depth that no caller states, with the reason. */
  readonly own: Readonly<Record<string, string>>;
  /** A good request, made anew for each case. */
  base(): TypedRequest;
  /** Makes the call. */
  send(request: TypedRequest): Promise<unknown>;
}

/** A call with one thing odd about it. */
export interface SdkCase {
  readonly what: string;
  readonly request: TypedRequest;
  /** Names that an error may name. */
  readonly named: readonly string[];
  /** No type of a program allows it. */
  readonly untyped: boolean;
}

/** Every case of a call. Throws where a field of proto/ has no place in its table, or the table has what proto/ has not. */
export function* sdkCases(call: SdkCall): Generator<SdkCase> {
  const { input } = methodSchema(call.method);
  const unknown = new Set([...Object.keys(call.options), ...Object.keys(call.own)]);
  for (const path of fieldPaths(input)) {
    const [top, last] = [path[0], path.at(-1)];
    if (top === undefined || last === undefined) continue;
    const names = path.map((_, index) => nameOf(path.slice(0, index + 1)));
    for (const name of names) unknown.delete(name);
    if (names.some((name) => call.own[name] !== undefined)) continue;
    const option = call.options[top.name];
    if (option === undefined) throw new Error(`${call.name}: ${top.name} is neither an option nor the SDK's own`);
    const named = typeof option === "string" ? [option] : option;
    const name = names.at(-1) ?? "";
    for (const { what, value } of typedValues(last)) {
      yield { what: `${name}: ${what}`, request: put(call.base(), path, value), named, untyped: false };
    }
    if (path.length > 1) continue;
    for (const { what, value } of UNTYPED) {
      yield {
        what: `${name}: ${what} instead`,
        request: { ...call.base(), [top.jsonName]: value },
        named,
        untyped: true,
      };
    }
  }
  if (unknown.size > 0) throw new Error(`${call.name}: ${[...unknown].join(", ")}: no field of ${call.method}`);
}

function nameOf(path: readonly DescField[]): string {
  return path.map(({ name }) => name).join(".");
}

/** The request with a value at a path; what is around it is good. */
function put(request: TypedRequest, path: readonly DescField[], value: unknown): TypedRequest {
  const [field, ...rest] = path;
  if (field === undefined) return request;
  const rivals = new Set(field.oneof?.fields.filter((one) => one !== field).map(({ jsonName }) => jsonName));
  const others = Object.fromEntries(Object.entries(request).filter(([name]) => !rivals.has(name)));
  if (rest.length === 0) return { ...others, [field.jsonName]: value };
  const given = others[field.jsonName];
  const good = field.message === undefined ? {} : goodMessage(field.message);
  const inner = put(isPlain(given) ? { ...good, ...given } : good, rest, value);
  return { ...others, [field.jsonName]: field.fieldKind === "list" ? [inner] : inner };
}

function isPlain(value: unknown): value is TypedRequest {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
