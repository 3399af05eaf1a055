// The routes of HTTP_ROUTES for a process's services: the very handlers of gRPC, with JSON in and out.
import type { IncomingMessage, ServerResponse } from "node:http";
import { Metadata } from "@grpc/grpc-js";
import type { HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { HttpRoute } from "@sallyport/contracts";
import { AUTHORIZATION_KEY, HTTP_ROUTES, REQUEST_ID_KEY } from "@sallyport/contracts";
import type { Params } from "@sallyport/contracts/json";
import { eventName, messageToJson, methodSchema } from "@sallyport/contracts/json";
import type { Context } from "hono";
import { Hono } from "hono";
import { requestIdOf } from "../call-entry.ts";
import type { Places } from "../call-places.ts";
import { CallPlaces } from "../call-places.ts";
import { AppError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { Authenticate, Principal } from "../principals.ts";
import type { BoundService } from "../service.ts";
import type { ServerEvent } from "./events.ts";
import { sendEvents } from "./events.ts";
import { EARLY_REFUSAL_MS, MAX_CALLS_PER_WORKSPACE } from "./limits.ts";
import { commonHeaders, HttpRefusal, problemResponse } from "./problem.ts";
import { queryOf, requestOf } from "./request.ts";

/** How a stream goes on where a caller left it. */
export interface Resume {
  /** The request's field that `Last-Event-ID` sets. */
  readonly field: string;
  /** Where reading may go on after this message; undefined for one after which nothing can. */
  placeAfter(message: Uint8Array): number | undefined;
}

/** A call over HTTP. */
export interface RestCall {
  readonly requestId: string;
  /** Aborted when the caller is gone. */
  readonly signal: AbortSignal;
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  /** The query, in order. Throws InvalidArgument for one that is no UTF-8. */
  readonly query: Params;
  /** Parameters of the route's path. */
  readonly path: Readonly<Record<string, string>>;
  /** Calls a method; its request is asked for once the caller is proven. */
  direct(method: string, request: () => Promise<Uint8Array> | Uint8Array): AsyncGenerator<Uint8Array, void, undefined>;
}

/** A route whose body or answer is not JSON. */
export interface RawRoute {
  readonly verb: "GET" | "PUT";
  readonly path: string;
  /** Whether it is this route's; the JSON route of the same verb and path answers otherwise. */
  matches(incoming: IncomingMessage): boolean;
  /** Resolves with an answer, or with undefined once it has answered by itself. */
  handle(call: RestCall): Promise<Response | undefined>;
}

export interface RestOptions {
  readonly services: readonly BoundService[];
  readonly authenticate: Authenticate;
  readonly logger: Logger;
  /** Where calls take a place beside that which each takes of this door. */
  readonly places?: Places;
  /** By gRPC path. */
  readonly resume?: Readonly<Record<string, Resume>>;
  readonly rawRoutes?: readonly RawRoute[];
  /** JSON text of the OpenAPI document, served to everybody at /v1/openapi.json. */
  readonly openapi?: string;
}

interface Env {
  Bindings: HttpBindings;
  Variables: { requestId: string };
}

/** The same, with all places that a call takes. */
interface Door extends Omit<RestOptions, "places"> {
  readonly places: readonly Places[];
}

/** An app that serves the routes of these services and refuses everything else. */
export function restApp({ places, ...options }: RestOptions): Hono<Env> {
  const own = new CallPlaces(MAX_CALLS_PER_WORKSPACE);
  const door: Door = { ...options, places: places === undefined ? [own] : [own, places] };
  const app = new Hono<Env>();
  app.use(async (context, next) => {
    context.set("requestId", requestIdOf(context.req.header(REQUEST_ID_KEY)));
    if (context.env.incoming.headersDistinct["host"]?.length !== 1) {
      throw new AppError("InvalidArgument", "a request names one host");
    }
    await next();
  });
  const verbs = new Map<string, Set<string>>();
  const on = (verb: string, path: string, handler: (context: Context<Env>) => Promise<Response | undefined>) => {
    verbs.set(path, (verbs.get(path) ?? new Set()).add(verb));
    app.on(verb, pathPattern(path), async (context, next) => (await handler(context)) ?? next());
  };
  for (const route of options.rawRoutes ?? []) {
    on(route.verb, route.path, async (context) => {
      if (!route.matches(context.env.incoming) || context.req.method === "HEAD") return undefined;
      return (await route.handle(openCall(context, door))) ?? RESPONSE_ALREADY_SENT;
    });
  }
  for (const route of HTTP_ROUTES) {
    if (!serves(options.services, route.method)) continue;
    on(route.verb, route.path, (context) => (route.serverStream ? stream : unary)(route, context, door));
  }
  const { openapi } = options;
  if (openapi !== undefined) {
    on("GET", "/v1/openapi.json", async (context) => {
      const headers = { ...commonHeaders(context.get("requestId")), "Content-Type": "application/json" };
      return new Response(openapi, { headers });
    });
  }
  for (const [path, allowed] of verbs) {
    app.all(pathPattern(path), (context) => {
      const allow = [...allowed].join(", ");
      const refusal = new HttpRefusal(405, "InvalidArgument", `this path takes ${allow}`, { Allow: allow });
      return problemResponse(refusal, context.get("requestId"));
    });
  }
  app.notFound((context) => {
    const refusal = new AppError("NotFound", "there is no such path", { hint: "all paths are in /v1/openapi.json" });
    return problemResponse(refusal, context.get("requestId"));
  });
  app.onError((error, context) => problemResponse(error, context.get("requestId")));
  return app;
}

/** "/v1/images/{image_id}" as hono writes it. */
function pathPattern(path: string): string {
  return path.replace(/\{(\w+)\}/g, ":$1");
}

function serves(services: readonly BoundService[], method: string): boolean {
  return services.some((service) => Object.values(service.definition).some(({ path }) => path === method));
}

async function unary(route: HttpRoute, context: Context<Env>, door: Door): Promise<Response> {
  const call = openCall(context, door);
  const { output } = methodSchema(route.method);
  for await (const bytes of call.direct(route.method, () => requestOf(route, call))) {
    return Response.json(messageToJson(output, bytes), { headers: commonHeaders(call.requestId) });
  }
  throw new Error(`${route.method} gave no answer`);
}

async function stream(route: HttpRoute, context: Context<Env>, door: Door): Promise<Response> {
  if (context.req.method === "HEAD") {
    throw new HttpRefusal(405, "InvalidArgument", "a stream has no HEAD", { Allow: route.verb });
  }
  const call = openCall(context, door);
  const resume = door.resume?.[route.method];
  const { output } = methodSchema(route.method);
  const messages = call.direct(route.method, () => requestOf(route, call, resume));
  const first = messages.next();
  // What is refused is refused at once; a stream that is silent for longer has begun.
  await Promise.race([first, new Promise((resolve) => setTimeout(resolve, EARLY_REFUSAL_MS))]);
  const events = (async function* (): AsyncGenerator<ServerEvent> {
    try {
      for (let next = await first; next.done !== true; next = await messages.next()) {
        const data = messageToJson(output, next.value);
        yield { name: eventName(output, data), id: resume?.placeAfter(next.value)?.toString(), data };
      }
    } finally {
      await messages.return();
    }
  })();
  const { outgoing, requestId, signal } = call;
  await sendEvents({ outgoing, requestId, signal, headers: commonHeaders(requestId) }, events);
  return RESPONSE_ALREADY_SENT;
}

function openCall(context: Context<Env>, door: Door): RestCall {
  const { incoming, outgoing } = context.env as HttpBindings;
  const { logger, services } = door;
  const requestId = context.get("requestId");
  const gone = new AbortController();
  outgoing.once("close", () => {
    if (!outgoing.writableFinished) gone.abort(new AppError("Cancelled", "the caller went away"));
  });
  // A request is one call, however many of the methods it takes: proven once, in one place until it is answered.
  let proof: Promise<Principal | undefined> | undefined;
  const authenticate: Authenticate = (given) => {
    proof ??= door.authenticate(given);
    return proof;
  };
  const places = [oncePerRequest(door.places, outgoing)];
  const metadata = new Metadata();
  const authorization = incoming.headersDistinct[AUTHORIZATION_KEY] ?? [];
  for (const value of authorization) metadata.add(AUTHORIZATION_KEY, value);
  return {
    requestId,
    signal: gone.signal,
    incoming,
    outgoing,
    path: context.req.param(),
    get query() {
      return queryOf(incoming);
    },
    direct(method, request) {
      const service = services.find((one) => serves([one], method));
      if (service === undefined) throw new TypeError(`${method} is not served here`);
      return service.call(method, { metadata, authenticate, logger, places, requestId, signal: gone.signal, request });
    },
  };
}

/** A place of each for as long as the request lasts. */
function oncePerRequest(places: readonly Places[], outgoing: ServerResponse): Places {
  let isTaken = false;
  const leaves: (() => void)[] = [];
  const leaveAll = () => {
    for (const leave of leaves.splice(0)) leave();
  };
  return {
    enter(caller) {
      if (!isTaken && !outgoing.closed) {
        isTaken = true;
        outgoing.once("close", leaveAll);
        for (const one of places) leaves.push(one.enter(caller));
      }
      return () => {};
    },
  };
}
