// What a create may declare of ports and of those who may come to them, and what it may not.
import { AppError } from "@sallyport/appkit/errors";
import { INIT_PORT } from "@sallyport/contracts";
import { describe, expect, it } from "vitest";
import type { PortLists } from "./check-ports.ts";
import { checkInbound, checkPorts } from "./check-ports.ts";

const NONE: PortLists = { encryptedPorts: [], h2Ports: [], unencryptedPorts: [], proxyProtocolPorts: [] };
const ports = (change: Partial<PortLists>) => checkPorts({ ...NONE, ...change });
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** The error that a call throws. */
function thrown(call: () => unknown): AppError {
  try {
    call();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error("it was taken");
}

describe("declared ports", () => {
  it("are sorted by port, each of its kind, with a header where that was asked for", () => {
    const lists = {
      encryptedPorts: [65_535, 443],
      h2Ports: [50_051],
      unencryptedPorts: [1],
      proxyProtocolPorts: [1, 443],
    };
    expect(ports(lists)).toEqual([
      { port: 1, kind: "raw", proxyProtocol: true },
      { port: 443, kind: "tls", proxyProtocol: true },
      { port: 50_051, kind: "h2", proxyProtocol: false },
      { port: 65_535, kind: "tls", proxyProtocol: false },
    ]);
    expect(ports({})).toEqual([]);
    expect(ports({ encryptedPorts: upTo(8), h2Ports: upTo(16).slice(8) })).toHaveLength(16);
    expect(ports({ unencryptedPorts: upTo(16), proxyProtocolPorts: upTo(16) })).toHaveLength(16);
  });

  it.each<[field: string, what: string, lists: Partial<PortLists>]>([
    ["encrypted_ports[1]", "80 is there twice", { encryptedPorts: [80, 80] }],
    ["h2_ports[2]", "80 is there twice", { h2Ports: [80, 81, 80] }],
    ["unencrypted_ports[1]", "22 is there twice", { unencryptedPorts: [22, 22] }],
    ["h2_ports[0]", "80 is there twice", { encryptedPorts: [80], h2Ports: [80] }],
    ["unencrypted_ports[0]", "80 is there twice", { encryptedPorts: [80], unencryptedPorts: [80] }],
    ["unencrypted_ports[1]", "80 is there twice", { h2Ports: [80], unencryptedPorts: [22, 80] }],
    ["proxy_protocol_ports[1]", "80 is there twice", { encryptedPorts: [80], proxyProtocolPorts: [80, 80] }],
    ["encrypted_ports[0]", "must be 1 to 65535", { encryptedPorts: [0] }],
    ["h2_ports[0]", "must be 1 to 65535", { h2Ports: [65_536] }],
    ["unencrypted_ports[1]", "must be 1 to 65535", { unencryptedPorts: [22, 4_294_967_295] }],
    ["unencrypted_ports[0]", "must be 1 to 65535", { unencryptedPorts: [22.5] }],
    ["encrypted_ports[0]", "must be 1 to 65535", { encryptedPorts: [Number.NaN] }],
    ["encrypted_ports[0]", "must be 1 to 65535", { encryptedPorts: [-1] }],
    ["proxy_protocol_ports[0]", "must be 1 to 65535", { proxyProtocolPorts: [0] }],
    ["encrypted_ports[0]", "is the platform's own", { encryptedPorts: [INIT_PORT] }],
    ["h2_ports[0]", "is the platform's own", { h2Ports: [INIT_PORT] }],
    ["unencrypted_ports[0]", "is the platform's own", { unencryptedPorts: [INIT_PORT] }],
    ["proxy_protocol_ports[0]", "is the platform's own", { proxyProtocolPorts: [INIT_PORT] }],
    ["encrypted_ports[16]", "is one too many", { encryptedPorts: upTo(17) }],
    [
      "unencrypted_ports[0]",
      "is one too many",
      { encryptedPorts: upTo(8), h2Ports: [11, 12, 13, 14, 15, 16, 17, 18], unencryptedPorts: [22] },
    ],
    ["proxy_protocol_ports[0]", "81 is not declared", { encryptedPorts: [80], proxyProtocolPorts: [81] }],
    [
      "proxy_protocol_ports[1]",
      "80 is in h2_ports",
      { encryptedPorts: [81], h2Ports: [80], proxyProtocolPorts: [81, 80] },
    ],
  ])("are refused: %s %s", (field, what, lists) => {
    const error = thrown(() => ports(lists));
    expect(error).toMatchObject({ code: "InvalidArgument", field });
    expect(error.message).toContain(`${field}: ${what}`);
  });
});

describe("those who may come", () => {
  it("are all, nobody, or CIDRs in canonical form", () => {
    expect(checkInbound(undefined)).toBeUndefined();
    expect(checkInbound([])).toEqual([]);
    expect(checkInbound(["0.0.0.0/0", "::/0"])).toEqual(["0.0.0.0/0", "::/0"]);
    expect(checkInbound(["198.51.100.7", "2001:DB8:0:0::/32"])).toEqual(["198.51.100.7/32", "2001:db8::/32"]);
    expect(checkInbound(upTo(64).map((number) => `10.0.${number}.0/24`))).toHaveLength(64);
  });

  const entry = "inbound_cidr_allowlist.cidrs[0]";
  it.each<[field: string, what: string, cidrs: readonly string[]]>([
    [entry, "host bits of IPv4", ["10.0.0.1/8"]],
    [entry, "host bits of IPv6", ["2001:db8::1/32"]],
    [entry, "no length after the slash", ["10.0.0.0/"]],
    [entry, "too long a prefix", ["10.0.0.0/33"]],
    [entry, "too long a prefix of IPv6", ["::/129"]],
    [entry, "a name", ["example.com"]],
    [entry, "a name with a prefix length", ["example.com/24"]],
    [entry, "another number system", ["010.0.0.0/8"]],
    [entry, "a zone", ["fe80::%eth0/10"]],
    [entry, "nothing", [""]],
    [entry, "NUL", ["10.0.0.0/8\0"]],
    ["inbound_cidr_allowlist.cidrs[1]", "a space", ["10.0.0.0/8", " 10.0.0.0/8"]],
    ["inbound_cidr_allowlist.cidrs[1]", "the same twice", ["10.0.0.0/8", "10.0.0.0/8"]],
    ["inbound_cidr_allowlist.cidrs[2]", "the same in two spellings", ["::/0", "2001:db8::/32", "2001:0DB8::/32"]],
    ["inbound_cidr_allowlist.cidrs", "one too many", upTo(65).map((number) => `10.0.${number}.0/24`)],
  ])("are refused: at %s %s", (field, _, cidrs) => {
    const error = thrown(() => checkInbound(cidrs));
    expect(error).toMatchObject({ code: "InvalidArgument", field });
    expect(error.message.startsWith(`${field}: `)).toBe(true);
    expect(error.message.split(field)).toHaveLength(2); // named once
  });
});
