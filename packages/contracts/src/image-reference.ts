// How images of registries are named: the grammar of https://github.com/distribution/reference, with Docker Hub's
// short forms written out.

/** Where a name without a registry is looked for. */
export const DEFAULT_REGISTRY = "docker.io";

/** A reference, taken apart. */
export interface ImageReference {
  /** Host, with its port unless that is 443, e.g. "docker.io", "registry.example.com:5000". */
  readonly registry: string;
  /** e.g. "library/python". */
  readonly repository: string;
  /** Set unless there is a digest alone. */
  readonly tag: string | undefined;
  /** "sha256:" and 64 hexadecimal digits. */
  readonly digest: string | undefined;
  /** All of it, written out. */
  readonly canonical: string;
}

const MAX_REFERENCE_CHARACTERS = 512;
const MAX_REPOSITORY_CHARACTERS = 255;
const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const HOST = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-f:.]{2,45}\\])(?::[0-9]{1,5})?$`);
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Whether a text names a registry: a host in lower case, and a port where it is not 443. No scheme, no path. */
export function isRegistryName(text: string): boolean {
  if (text.length > 260 || !HOST.test(text)) return false;
  const port = /:([0-9]+)$/.exec(text.replace(/^\[.*\]/, ""))?.[1];
  return port === undefined || (Number(port) > 0 && Number(port) <= 65_535);
}

/** Takes a reference apart; undefined when it is none. */
export function parseImageReference(text: string): ImageReference | undefined {
  if (text.length > MAX_REFERENCE_CHARACTERS) return undefined;
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !DIGEST.test(digest)) return undefined;
  const named = at < 0 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(":");
  const hasTag = colon > named.lastIndexOf("/");
  const tag = hasTag ? named.slice(colon + 1) : digest === undefined ? "latest" : undefined;
  if (tag !== undefined && !TAG.test(tag)) return undefined;
  const place = placeOf(hasTag ? named.slice(0, colon) : named);
  if (place === undefined) return undefined;
  const { registry, repository } = place;
  const end = `${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
  return { registry, repository, tag, digest, canonical: `${registry}/${repository}${end}` };
}

function placeOf(name: string): { readonly registry: string; readonly repository: string } | undefined {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isRegistry = first === "localhost" || /[.:]/.test(first);
  const registry = isRegistry ? (first === "index.docker.io" ? DEFAULT_REGISTRY : first) : DEFAULT_REGISTRY;
  const path = isRegistry ? name.slice(slash + 1) : name;
  const repository = registry === DEFAULT_REGISTRY && !path.includes("/") ? `library/${path}` : path;
  if (!isRegistryName(registry) || repository.length > MAX_REPOSITORY_CHARACTERS) return undefined;
  // What looks like an image's id is none of a registry's names.
  if (/^[0-9a-f]{64}$/.test(path)) return undefined;
  return repository.split("/").every((part) => COMPONENT.test(part)) ? { registry, repository } : undefined;
}
