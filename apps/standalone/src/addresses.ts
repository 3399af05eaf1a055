// Where parts of the platform listen, as settings name it.
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { z } from "zod";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export const listen = z.string().transform((text, context): Address => {
  const match = /^\[?([^\]]+)\]?:(\d{1,5})$/.exec(text);
  const [, host, port] = match ?? [];
  if (host === undefined || isIP(host) === 0 || Number(port) > 65_535) {
    context.addIssue("must be ADDRESS:PORT, e.g. 127.0.0.1:7350");
    return z.NEVER;
  }
  return { host, port: Number(port) };
});

/** Some of those, separated by commas. */
export const listenList = z.string().transform((text, context): readonly Address[] => {
  const addresses = text.split(",").map((one) => listen.safeParse(one.trim()).data);
  const [first] = addresses;
  if (first === undefined || !addresses.every((one) => one?.port === first.port)) {
    context.addIssue(
      "must be ADDRESS:PORT, several separated by commas and with one port, e.g. 127.0.0.1:7443,[::1]:7443",
    );
    return z.NEVER;
  }
  return addresses.flatMap((one) => one ?? []);
});

/** Loopback, of IPv6 too where the machine has one. */
export function loopback(port: number): readonly Address[] {
  const hasV6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === "::1"));
  return [{ host: "127.0.0.1", port }, ...(hasV6 ? [{ host: "::1", port }] : [])];
}

/** "127.0.0.1:7350", "[::1]:7350". */
export function addressText({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether both cannot be had at once: one port, and the same address or all of them. */
export function isSamePlace(one: Address, other: Address): boolean {
  const isAll = (host: string) => host === "0.0.0.0" || host === "::";
  return one.port === other.port && (one.host === other.host || isAll(one.host) || isAll(other.host));
}
