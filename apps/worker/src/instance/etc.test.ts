// The files of a sandbox's /etc.
import { describe, expect, it } from "vitest";
import { etcFiles } from "./etc.ts";

const ADDRESSES = { ipv4: "100.64.0.2", ipv6: "fd12:3456:789a::2", routerIpv4: "100.64.0.1" };
const ID = "sb-01j00000000000000000000001";

describe("etcFiles", () => {
  it("name the sandbox at its addresses", () => {
    const { hosts, hostname } = etcFiles(ID, ADDRESSES);
    expect(hosts).toContain(`100.64.0.2\t${ID} `);
    expect(hosts).toContain(`fd12:3456:789a::2\t${ID} `);
    expect(hostname).toBe(`${ID}\n`);
  });

  it("name the router as resolver, or those of the create", () => {
    expect(etcFiles(ID, ADDRESSES).resolvConf).toBe("nameserver 100.64.0.1\noptions timeout:2 attempts:2\n");
    expect(etcFiles(ID, ADDRESSES, ["198.51.100.53", "2001:db8::53"]).resolvConf).toBe(
      "nameserver 198.51.100.53\nnameserver 2001:db8::53\noptions timeout:2 attempts:2\n",
    );
  });
});
