// Redirects of an app in a sandbox: followed as fetch follows them (Fetch standard, 4.4), within the app's own origin. What
// runs in a sandbox is nobody's friend: by a redirect elsewhere it would have this program ask services that only this
// program can reach, with a body if it likes, and the answer would look like the app's.
import { sdkError } from "./errors.ts";

const MAX_REDIRECTS = 20;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Headers of a body, which go with it. */
const BODY_HEADERS = ["content-encoding", "content-language", "content-location", "content-type", "content-length"];

type Send = (url: URL, init: RequestInit & { headers: Headers }) => Promise<Response>;

/**
 * Sends, and follows unless the caller wants redirects as answers (`manual`) or errors (`error`). Throws
 * `FailedPrecondition` for one that leads elsewhere; as fetch does, TypeError after too many, and for a stream that would
 * have to be sent once more.
 */
export async function followWithinOrigin(
  send: Send,
  url: URL,
  init: RequestInit & { headers: Headers },
): Promise<Response> {
  if (init.redirect !== undefined && init.redirect !== "follow") return send(url, init);
  let request = { url, init: { ...init, redirect: "manual" as const } };
  for (let count = 0; ; count += 1) {
    const response = await send(request.url, request.init);
    const location = response.headers.get("location");
    if (!REDIRECTS.has(response.status) || location === null) return count === 0 ? response : redirected(response);
    await response.body?.cancel();
    if (count === MAX_REDIRECTS) throw new TypeError(`fetch failed: more than ${MAX_REDIRECTS} redirects`);
    request = { url: nextUrl(location, request.url), init: nextInit(response.status, request.init) };
  }
}

function nextUrl(location: string, from: URL): URL {
  const next = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (next?.origin === from.origin && next.username === "" && next.password === "") return next;
  throw sdkError("FailedPrecondition", "the app in the sandbox redirects to another host", {
    hint: 'pass { redirect: "manual" } to read the answer, and judge where its Location leads',
  });
}

function nextInit<Init extends RequestInit & { headers: Headers }>(status: number, init: Init): Init {
  const method = (init.method ?? "GET").toUpperCase();
  const becomesGet = status === 303 ? !["GET", "HEAD"].includes(method) : status <= 302 && method === "POST";
  if (becomesGet) {
    const { body: _, ...rest } = init;
    const headers = new Headers(init.headers);
    for (const name of BODY_HEADERS) headers.delete(name);
    return { ...rest, method: "GET", headers } as unknown as Init;
  }
  if (isOnce(init.body)) throw new TypeError("fetch failed: a redirect asks for a stream once more");
  return init;
}

/** A body that is gone when it was sent. */
function isOnce(body: RequestInit["body"]): boolean {
  if (typeof body !== "object" || body === null) return false;
  if (body instanceof FormData || body instanceof URLSearchParams || body instanceof Blob) return false;
  return Symbol.asyncIterator in body || body instanceof ReadableStream;
}

function redirected(response: Response): Response {
  return Object.defineProperty(response, "redirected", { value: true, enumerable: true, configurable: true });
}
