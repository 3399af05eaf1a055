// Network policies as people write them on a command line: a word, JSON, a file, or entries of an allow list.
import { readFile } from "node:fs/promises";
import type { AllowRule, NetworkPolicy } from "@sallyport/sdk";
import { InvalidArgumentError } from "commander";
import { CliError } from "./errors.ts";

/** How every command describes an entry. */
export const ENTRY_HELP =
  "CIDR, CIDR:PORTS or PROTOCOL://CIDR[:PORTS], e.g. 198.51.100.0/24, tcp://198.51.100.7:443,8000-8100, udp://[2001:db8::/32]:53";

type Entry = string | AllowRule;

/** Adds an entry to those given before. Ports alone are those of TCP and UDP; an IPv6 CIDR with ports stands in brackets. */
export function collectEntry(text: string, before: readonly Entry[] | undefined): readonly Entry[] {
  return [...(before ?? []), parseEntry(text)];
}

function parseEntry(text: string): Entry {
  const [, scheme, rest = ""] = /^(?:([A-Za-z0-9]+):\/\/)?(.*)$/s.exec(text) ?? [];
  const { cidr, ports } = split(rest);
  if (scheme === undefined && ports === undefined) return cidr;
  if (scheme !== undefined && !isProtocol(scheme)) {
    throw new InvalidArgumentError(`"${scheme}" is not a protocol: use tcp://, udp:// or icmp://.`);
  }
  return {
    cidr,
    ...(scheme === undefined ? {} : { protocol: scheme }),
    ...(ports === undefined ? {} : { ports: ports.split(",").map(parsePorts) }),
  };
}

/** What is one colon of IPv6 and what separates ports, brackets tell. */
function split(text: string): { readonly cidr: string; readonly ports: string | undefined } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/s.exec(text);
  if (bracketed !== null) return { cidr: bracketed[1] ?? "", ports: bracketed[2] };
  const colon = text.indexOf(":");
  if (colon === -1 || text.includes(":", colon + 1)) return { cidr: text, ports: undefined };
  return { cidr: text.slice(0, colon), ports: text.slice(colon + 1) };
}

function parsePorts(text: string): number | readonly [number, number] {
  const [, from = "", to] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  if (from === "") throw new InvalidArgumentError(`"${text}" is no port: write PORT or FROM-TO, several with commas.`);
  return to === undefined ? Number(from) : [Number(from), Number(to)];
}

function isProtocol(text: string): text is "tcp" | "udp" | "icmp" {
  return text === "tcp" || text === "udp" || text === "icmp";
}

/** An entry as {@link collectEntry} reads it. */
export function entryText(entry: Entry): string {
  if (typeof entry === "string") return entry;
  const { cidr, ports, protocol } = entry;
  const host = ports !== undefined && cidr.includes(":") ? `[${cidr}]` : cidr;
  const list = ports?.map((port) => (typeof port === "number" ? String(port) : port.join("-"))).join(",");
  return `${protocol === undefined ? "" : `${protocol}://`}${host}${list === undefined ? "" : `:${list}`}`;
}

/** How every command describes a whole policy. */
export const POLICY_HELP = 'open, blocked, JSON such as \'{"allow":["198.51.100.0/24"]}\'';

/** A policy that is a word or JSON; whether it is a good one, others judge. Undefined for any other text. */
export function parsePolicyText(text: string): NetworkPolicy | undefined {
  if (text === "open" || text === "blocked") return text;
  return /^\s*[{"[]/.test(text) ? parseJson(text, "the policy") : undefined;
}

/** The same, or else the policy in the file of that name. Throws CliError. */
export async function readPolicy(text: string): Promise<NetworkPolicy> {
  const policy = parsePolicyText(text);
  if (policy !== undefined) return policy;
  try {
    const content = (await readFile(text, "utf8")).trim();
    return content === "open" || content === "blocked" ? content : parseJson(content, text);
  } catch (error) {
    if (error instanceof CliError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError("Usage", `"${text}" is no policy, and no file that can be read: ${reason}`, {
      hint: `write ${POLICY_HELP}, or the name of a file with one`,
      cause: error,
    });
  }
}

/** Its shape is for whoever takes it to judge, by names of its parts. */
function parseJson(text: string, what: string): NetworkPolicy {
  try {
    return JSON.parse(text) as NetworkPolicy;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError("Usage", `${what} is no JSON: ${reason}`, { hint: `write ${POLICY_HELP}`, cause: error });
  }
}
