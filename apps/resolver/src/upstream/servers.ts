// Which resolvers of the host are asked: those that the operator names, or those of /etc/resolv.conf as it changes.

import { readFileSync, unwatchFile, watchFile } from "node:fs";
import { isIP } from "node:net";
import type { Logger } from "@sallyport/appkit/logger";

export interface Server {
  readonly address: string;
  readonly port: number;
}

/** Where servers are listed; what is in use now is read before each look-up. */
export interface ServerList extends Disposable {
  readonly servers: readonly Server[];
}

const DNS_PORT = 53;
/** More are not asked: a look-up has no time for them. */
const MAX_SERVERS = 8;
/** How soon a changed file is noticed. */
const WATCH_INTERVAL_MS = 1000;

export function fixedServers(servers: readonly Server[]): ServerList {
  return { servers, [Symbol.dispose]: () => undefined };
}

/** The servers of a file in the form of resolv.conf. A file that cannot be read leaves what was known. */
export function watchedServers(path: string, logger: Logger): ServerList {
  let servers: readonly Server[] = parseResolvConf("");
  const read = (): void => {
    try {
      servers = parseResolvConf(readFileSync(path, "utf8"));
      logger.info({ path, servers: servers.map(serverText) }, "resolvers of the host");
    } catch (error) {
      logger.warn({ path, err: error, servers: servers.map(serverText) }, "resolvers of the host cannot be read");
    }
  };
  read();
  // By looking, since the file is often a link to one that is replaced as a whole, in a folder that comes later.
  watchFile(path, { interval: WATCH_INTERVAL_MS, persistent: false }, read);
  return {
    get servers() {
      return servers;
    },
    [Symbol.dispose]: () => unwatchFile(path, read),
  };
}

/** Without any server the machine's own is meant, as resolv.conf(5) has it. Pure. */
export function parseResolvConf(text: string): readonly Server[] {
  const found: Server[] = [];
  for (const line of text.split("\n")) {
    const [keyword, address] = line.trim().split(/\s+/);
    if (keyword !== "nameserver" || address === undefined || isIP(address) === 0) continue;
    found.push({ address, port: DNS_PORT });
  }
  return found.length === 0 ? [{ address: "127.0.0.1", port: DNS_PORT }] : found.slice(0, MAX_SERVERS);
}

/** "198.51.100.53", "198.51.100.53:5353", "[2001:db8::53]:5353", "2001:db8::53". Undefined: not of this form. Pure. */
export function parseServer(text: string): Server | undefined {
  if (isIP(text) !== 0) return { address: text, port: DNS_PORT };
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const [address, port] = [match?.[1] ?? match?.[2], Number(match?.[3])];
  const family = match?.[1] === undefined ? 4 : 6;
  if (address === undefined || isIP(address) !== family || port < 1 || port > 65_535) return undefined;
  return { address, port };
}

export function serverText({ address, port }: Server): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
