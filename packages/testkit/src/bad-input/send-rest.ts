// Sends a case over HTTP as its route has it: fields in the path, the query or the body.
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { HTTP_ROUTES } from "@sallyport/contracts";
import { methodSchema } from "@sallyport/contracts/json";
import type { RestClient } from "../rest-client.ts";
import type { BadCase } from "./cases.ts";

/** What a case was answered. */
export interface Verdict {
  /** "ok", or the code of the refusal. */
  readonly code: string;
  readonly field: string | undefined;
  /** For people, when it is not what was expected. */
  readonly detail: string;
}

/** How a case looks over HTTP. */
interface Shape {
  readonly verb: string;
  readonly path: string;
  readonly body: string | undefined;
  /** Whether the oddity is in a JSON body, where every type can be written. */
  readonly isInBody: boolean;
}

/** The case over HTTP; undefined where a path or query cannot say it. */
export function restShape(one: BadCase): Shape | undefined {
  const route = HTTP_ROUTES.find(({ method }) => method === one.method);
  if (route === undefined) return undefined;
  const rest: Record<string, JsonValue> = { ...one.request };
  let path = route.path;
  let oddIsInPath = false;
  for (const field of methodSchema(one.method).input.fields) {
    if (!path.includes(`{${field.name}}`)) continue;
    const text = textOf(rest[field.jsonName]);
    if (text === undefined || text === "" || text.length > 8_000) return undefined;
    path = path.replace(`{${field.name}}`, encodeURIComponent(text));
    delete rest[field.jsonName];
    oddIsInPath ||= field.name === one.field;
  }
  if (route.verb === "POST" || route.verb === "PUT") {
    if (oddIsInPath && one.text !== undefined) return undefined;
    const body = one.text === undefined ? JSON.stringify(rest) : withoutPath(one.text, route.path);
    return body.length > 2_000_000 ? undefined : { verb: route.verb, path, body, isInBody: !oddIsInPath };
  }
  const query = one.text === undefined ? queryOf(rest) : undefined;
  if (query === undefined || query.length > 8_000) return undefined;
  return { verb: route.verb, path: query === "" ? path : `${path}?${query}`, body: undefined, isInBody: false };
}

/** Sends it. Throws when there is no answer within 10 s, or one that is no JSON. */
export async function sendRest(client: RestClient, token: string, shape: Shape): Promise<Verdict> {
  const request = { token, ...(shape.body === undefined ? {} : { body: shape.body }) };
  const response = await client.fetch(shape.verb, shape.path, request, AbortSignal.timeout(10_000));
  if (response.status === 200) {
    await response.body?.cancel();
    return { code: "ok", field: undefined, detail: "" };
  }
  const problem = (await response.json()) as { code: string; detail: string; field?: string };
  return { code: problem.code, field: problem.field, detail: `${response.status} ${problem.detail}` };
}

function withoutPath(text: string, path: string): string {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) =>
    name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
  );
  return names.reduce((rest, name) => rest.replace(new RegExp(`"${name}":"[^"]*",?`), ""), text);
}

function queryOf(fields: JsonObject): string | undefined {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(fields)) {
    const values = Array.isArray(value) ? value : [value];
    for (const one of values) {
      const entries: [string, JsonValue][] =
        typeof one === "object" && one !== null && !Array.isArray(one)
          ? Object.entries(one).map(([key, entry]) => [`${name}[${key}]`, entry])
          : [[name, one]];
      for (const [key, entry] of entries) {
        const [left, right] = [encoded(key), encoded(textOf(entry))];
        if (left === undefined || right === undefined) return undefined;
        pairs.push(`${left}=${right}`);
      }
    }
  }
  return pairs.join("&");
}

function textOf(value: JsonValue | undefined): string | undefined {
  if (typeof value === "string") return value.isWellFormed() ? value : undefined;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}

function encoded(text: string | undefined): string | undefined {
  return text?.isWellFormed() === true ? encodeURIComponent(text) : undefined;
}
