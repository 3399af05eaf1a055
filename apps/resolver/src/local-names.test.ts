// Names that never leave the machine, and those that do.
import { formatAddress, lastAddress, NEVER_REACHABLE, PRIVATE, parseCidr } from "@sallyport/policy";
import { describe, expect, it } from "vitest";
import { AddressRanges } from "./address-ranges.ts";
import { localAnswer } from "./local-names.ts";
import { nameOf } from "./message/name.ts";
import { TYPE } from "./message/wire.ts";

const OWN_IPV6 = 0x2001_0db8_0000_0000_0000_0000_0000_0001n;
const OWN = new AddressRanges(["198.51.100.1", "2001:db8::1"]);

const answer = (text: string, type: number = TYPE.A) =>
  localAnswer(nameOf(text === "." ? [] : text.split(".")), type, OWN);

/** "1.100.51.198.in-addr.arpa", or the like for IPv6. */
function reverseOf(family: 4 | 6, value: bigint): string {
  if (family === 4) return `${formatAddress({ family, value }).split(".").reverse().join(".")}.in-addr.arpa`;
  return `${value.toString(16).padStart(32, "0").split("").reverse().join(".")}.ip6.arpa`;
}

describe("localAnswer", () => {
  it.each([
    "localhost",
    "LOCALHOST",
    "x.localhost",
    "printer.local",
    "a.b.invalid",
    "x.test",
    "x.onion",
    "x.alt",
    "metadata.google.internal",
    "ip-10-0-0-1.ec2.internal",
    "router.home.arpa",
    "_dns.resolver.arpa",
    "x.service.arpa",
    "ipv4only.arpa",
  ])("has no such name as %s", (name) => {
    for (const type of [TYPE.A, TYPE.TXT, TYPE.NS]) expect(answer(name, type)).toBe("no such name");
  });

  it("has no names for any address in private or never-reachable space, nor for our machines", () => {
    for (const { cidr } of [...NEVER_REACHABLE, ...PRIVATE]) {
      const range = parseCidr(cidr);
      for (const value of [range.first, lastAddress(range)]) {
        expect(answer(reverseOf(range.family, value), TYPE.PTR), cidr).toBe("no such name");
      }
    }
    expect(answer("1.100.51.198.in-addr.arpa", TYPE.PTR)).toBe("no such name");
    expect(answer(reverseOf(6, OWN_IPV6), TYPE.PTR)).toBe("no such name");
  });

  it.each(["10.in-addr.arpa", "168.192.in-addr.arpa", "b.a.10.0.0.10.in-addr.arpa", "c.f.ip6.arpa", "8.e.f.ip6.arpa"])(
    "counts %s among them",
    (name) => {
      expect(answer(name, TYPE.SOA)).toBe("no such name");
    },
  );

  it.each([
    "2.100.51.198.in-addr.arpa",
    "192.in-addr.arpa",
    "172.in-addr.arpa",
    "in-addr.arpa",
    "f.ip6.arpa",
    "010.in-addr.arpa",
    "x.in-addr.arpa",
    reverseOf(6, 0x2001_0db8_0000_0000_0000_0000_0000_0002n),
    "host.example",
    "localhost.example",
    "local.host.example",
    "home.arpa.example",
    "arpa.example",
  ])("asks for %s", (name) => {
    expect(answer(name)).toBeUndefined();
  });

  it("has no addresses of one label, and asks for what else such a name has", () => {
    expect(answer("router")).toBe("no data");
    expect(answer("com", TYPE.AAAA)).toBe("no data");
    expect(answer(".")).toBe("no data");
    expect(answer("com", TYPE.NS)).toBeUndefined();
  });
});
