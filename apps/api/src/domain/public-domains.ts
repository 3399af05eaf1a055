// Sibling origins (law 25): which names may be public beside each other. Cookies go by registrable domain, and know no ports.

interface PublicNames {
  /** Below which sandboxes have their hosts. */
  readonly connect: string;
  /** Below which tunnels have theirs. */
  readonly tunnels: string;
  /** What clients of raw ports connect to: a name, or an address as {@link isPublicHost} wants it. */
  readonly rawHost: string;
}

/** Of one machine: each name below it is a registrable domain of its own, and all of them lead to the loopback. */
const LOCAL = "localhost";
/** Where names below it lead: the loopback, also as a mapped address, and what Linux takes for it. */
const LOOPBACKS: readonly string[] = ["127.0.0.1", "::1", "::ffff:7f00:1", "0.0.0.0", "::", "::ffff:0:0"];

/** Whether a text is a host's name in lower case or an address, in its one spelling (URL Standard, 3.5): not "127.1". */
export function isPublicHost(text: string): boolean {
  const host = text.includes(":") ? `[${text}]` : text;
  return URL.parse(`http://${host}`)?.hostname === host;
}

/** What does not fit, by the names of settings. */
export function domainProblems({ connect, tunnels, rawHost }: PublicNames): readonly string[] {
  const problems: string[] = [];
  const isNested = isWithin(connect, tunnels) || isWithin(tunnels, connect);
  if (isNested && !(connect === LOCAL && tunnels === LOCAL)) {
    const rule = "must be another domain than SALLYPORT_CONNECT_DOMAIN, neither of them below the other";
    problems.push(`SALLYPORT_TUNNEL_DOMAIN: ${rule}`);
  }
  // Whoever answers at a name may set cookies for all names below it.
  if ([connect, tunnels].some((domain) => isWithin(rawHost, domain) || isWithin(domain, rawHost))) {
    problems.push(
      "SALLYPORT_TUNNEL_RAW_HOST: must be no name of the connect domain or the tunnel domain, and none above",
    );
  }
  if ([connect, tunnels].some((domain) => isWithin(domain, LOCAL)) && LOOPBACKS.includes(rawHost)) {
    problems.push(
      "SALLYPORT_TUNNEL_RAW_HOST: must be an address of its own, e.g. 127.0.0.2: hosts of sandboxes lead there",
    );
  }
  return problems;
}

function isWithin(name: string, domain: string): boolean {
  return name === domain || name.endsWith(`.${domain}`);
}
