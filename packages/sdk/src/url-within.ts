// A path of a sandbox's, and nothing that leads elsewhere.
import { sdkError } from "./errors.ts";

/** The URL of a path below an origin. Throws InvalidArgument with field `path` for a URL elsewhere. */
export function urlWithin(base: string, path: string): URL {
  const { origin } = new URL(base);
  const url = URL.canParse(path, base) ? new URL(path, base) : undefined;
  if (url !== undefined) url.protocol = url.protocol.replace(/^ws/, "http");
  if (url?.origin === origin && url.username === "" && url.password === "") return url;
  // Not quoted: it may hold a secret.
  throw sdkError("InvalidArgument", `path: leads elsewhere than to ${origin}`, {
    field: "path",
    hint: 'begin it with one "/"',
  });
}
