// The request of a call over HTTP: path, query or body, and where a stream was left, by the schema of its method.
import type { IncomingMessage } from "node:http";
import type { HttpRoute } from "@sallyport/contracts";
import { methodSchema, paramsToJson, requestFromJson, SchemaError } from "@sallyport/contracts/json";
import { AppError, invalidArgument, schemaRefusal } from "../errors.ts";
import { hasBody, readJsonText } from "./body.ts";
import { MAX_PARAMS } from "./limits.ts";
import type { RestCall, Resume } from "./rest.ts";

/** The request of a JSON route, from its path, its query or body, and where a stream was left. */
export async function requestOf(route: HttpRoute, call: RestCall, resume?: Resume): Promise<Uint8Array> {
  const { input } = methodSchema(route.method);
  const takesBody = route.verb === "POST" || route.verb === "PUT";
  const query = [...call.query];
  if (takesBody && query.length > 0)
    throw invalidArgument(shown(query[0]?.[0] ?? ""), "is unknown: this path takes no query");
  if (!takesBody && hasBody(call.incoming)) throw new AppError("InvalidArgument", `a ${route.verb} takes no body`);
  const lastId = resume === undefined ? undefined : lastEventId(call.incoming);
  const inPath = new Set(Object.keys(call.path));
  const inQuery = query.filter(([name]) => resume === undefined || lastId === undefined || !names(name, resume.field));
  try {
    const pairs = [...Object.entries(call.path), ...inQuery];
    const repeated = inQuery.find(([name]) => inPath.has(name));
    if (repeated !== undefined) throw new SchemaError({ field: repeated[0], reason: "is in the path already" });
    const params = paramsToJson(input, pairs);
    const body = takesBody ? await readJsonText(call.incoming, call.signal) : undefined;
    const at = resume !== undefined && lastId !== undefined ? { [resume.field]: lastId } : {};
    return requestFromJson(input, { body, params: { ...params, ...at } });
  } catch (error) {
    throw error instanceof SchemaError ? schemaRefusal(error.fault) : error;
  }
}

/** Whether a parameter, in either spelling, is this field. */
function names(parameter: string, field: string): boolean {
  return parameter.replaceAll("_", "").toLowerCase() === field.replaceAll("_", "");
}

function lastEventId({ headers }: IncomingMessage): string | undefined {
  const id = headers["last-event-id"];
  if (id === undefined || id === "") return undefined;
  if (typeof id === "string" && /^\d{1,16}$/.test(id)) return id;
  throw invalidArgument("Last-Event-ID", "is no id of this stream");
}

/** The query's parameters, in order. Throws InvalidArgument for one that is no UTF-8, or too long. */
export function queryOf({ url = "" }: IncomingMessage): [string, string][] {
  const text = /\?([^#]*)/.exec(url)?.[1] ?? "";
  const pairs = text.split("&").filter((pair) => pair !== "");
  if (pairs.length > MAX_PARAMS) throw new AppError("InvalidArgument", `a query has at most ${MAX_PARAMS} parameters`);
  return pairs.map((pair) => {
    const equals = pair.indexOf("=");
    const [name, value] = equals < 0 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals + 1)];
    return [decoded(name), decoded(value)];
  });
}

/** URLSearchParams would replace what is no UTF-8, and so read another text than was meant. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw new AppError("InvalidArgument", "the query is no UTF-8 in percent-encoding");
  }
}

function shown(name: string): string {
  return name.slice(0, 64).replace(/[^\x21-\x7e]/g, "?");
}
