// Where the platform is and who we are: explicit options, else the environment, else the profile file. Read once, all
// problems as coded errors, values of secrets never in a message.
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import * as tls from "node:tls";
import { sdkError } from "./errors.ts";

/** How a {@link Client} finds and trusts the platform. */
export interface ClientOptions {
  /** `https://host[:port]`, or `http://` for this machine's loopback alone. Default: `SALLYPORT_API_URL`, then the profile file. */
  readonly url?: string | undefined;
  /** An API token. Default: `SALLYPORT_TOKEN`, then the profile file. */
  readonly token?: string | undefined;
  /**
   * PEM file of the certificate authorities to trust instead of the system's; for connect tokens, whose domain may have
   * another certificate than the api, beside those. Default: `SALLYPORT_CA_FILE`.
   */
  readonly caFile?: string | undefined;
}

/** How to reach one kind of peer. */
export interface ClientConfig {
  /** host:port of the api. */
  readonly address: string;
  /** Roots to trust (PEM); undefined = plaintext, which stays on loopback. */
  readonly roots: Buffer | undefined;
  /** Roots that the user named (PEM), for peers whose own authority is not known otherwise. */
  readonly namedRoots: Buffer | undefined;
  readonly token: string;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Path of the profile file: `$XDG_CONFIG_HOME/sallyport/config.json` or `~/.config/sallyport/config.json`. */
export function profilePath(env: Env = process.env): string {
  const base = given(env["XDG_CONFIG_HOME"]) ?? join(given(env["HOME"]) ?? homedir(), ".config");
  return join(base, "sallyport", "config.json");
}

/** Puts options, environment and profile file together. Throws InvalidArgument naming `url`, `token` or `caFile`. */
export function resolveConfig(options: ClientOptions, env: Env = process.env): ClientConfig {
  const url = given(options.url) ?? given(env["SALLYPORT_API_URL"]);
  const token = given(options.token) ?? given(env["SALLYPORT_TOKEN"]);
  const profile = url === undefined || token === undefined ? readProfile(profilePath(env)) : {};
  const { address, secure } = parseUrl(url ?? given(profile.url));
  const caFile = given(options.caFile) ?? given(env["SALLYPORT_CA_FILE"]);
  const namedRoots = caFile === undefined ? undefined : readRoots(caFile, "caFile");
  return Object.freeze({
    address,
    roots: secure ? (namedRoots ?? trustedRoots(env)) : undefined,
    namedRoots,
    token: checkToken(token ?? given(profile.token)),
  });
}

function given(value: string | undefined): string | undefined {
  const text = value?.trim();
  return text === "" ? undefined : text;
}

function readProfile(path: string): { url?: string; token?: string } {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return {}; // there need not be one
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) throw new Error("not an object");
    return { ...textOf(value, "url"), ...textOf(value, "token") };
  } catch {
    // The parser's message quotes the text, which may hold a token.
    throw sdkError("InvalidArgument", `the profile file ${path} is not JSON of the form {"url": …, "token": …}`, {
      hint: "mend or remove it, or set SALLYPORT_API_URL and SALLYPORT_TOKEN",
    });
  }
}

function textOf<K extends string>(value: object, key: K): Partial<Record<K, string>> {
  const found: unknown = (value as Record<string, unknown>)[key];
  return typeof found === "string" ? ({ [key]: found } as Partial<Record<K, string>>) : {};
}

function parseUrl(text: string | undefined): { address: string; secure: boolean } {
  if (text === undefined) {
    throw sdkError("InvalidArgument", "no platform is named", {
      field: "url",
      hint: "set SALLYPORT_API_URL (http://127.0.0.1:7350 on one machine), or pass { url }; `sallyport up` starts a platform",
    });
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const bare = url !== undefined && url.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (url === undefined || !bare || url.pathname !== "/" || !["http:", "https:"].includes(url.protocol)) {
    // Not quoted: somebody may have put a secret into it.
    throw sdkError("InvalidArgument", "url: not of the form http://host:port or https://host:port", { field: "url" });
  }
  const secure = url.protocol === "https:";
  if (!secure && !isLoopback(url.hostname)) {
    throw sdkError("InvalidArgument", `url: plaintext http:// is for this machine alone, not for ${url.hostname}`, {
      field: "url",
      hint: "use https://",
    });
  }
  return { address: `${url.hostname}:${url.port === "" ? (secure ? 443 : 80) : url.port}`, secure };
}

/** Whether a host (a name, or an address, IPv6 in brackets) is this machine's loopback. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

function checkToken(token: string | undefined): string {
  if (token === undefined) {
    throw sdkError("InvalidArgument", "no API token", {
      field: "token",
      hint: "set SALLYPORT_TOKEN, or pass { token }; `sallyport api-token create --name NAME --save` makes one",
    });
  }
  if (isHeaderText(token)) return token;
  throw sdkError("InvalidArgument", "token: holds characters that no API token has", {
    field: "token",
    hint: "copy the whole token that `sallyport api-token create` printed, and nothing else",
  });
}

/** Whether a text may stand in a header: gRPC's own refusal would quote it, and it is a secret. */
export function isHeaderText(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}

/**
 * Roots are always passed explicitly: left alone, grpc-js takes GRPC_DEFAULT_SSL_ROOTS_FILE_PATH where it is set, and
 * then forgets NODE_EXTRA_CA_CERTS.
 */
function trustedRoots(env: Env): Buffer {
  // Absent before Node 22.15, where the extra file is read by hand.
  if (typeof tls.getCACertificates === "function") return Buffer.from(tls.getCACertificates("default").join("\n"));
  const extra = given(env["NODE_EXTRA_CA_CERTS"]);
  const roots = Buffer.from(`${tls.rootCertificates.join("\n")}\n`);
  return extra === undefined ? roots : Buffer.concat([roots, readRoots(extra, "NODE_EXTRA_CA_CERTS")]);
}

function readRoots(path: string, field: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw sdkError("InvalidArgument", `${field}: cannot read ${path}`, { field, cause });
  }
}
