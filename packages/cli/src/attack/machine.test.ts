import { describe, expect, it } from "vitest";
import { listeningPorts, targetsAt } from "./machine.ts";

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1CB6 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:1CB6 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
   2: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:0 0 0 0 3
`;

describe("the ports of the machine", () => {
  it("are those at which something listens", () => {
    expect(listeningPorts(TABLE)).toEqual([7350, 22]);
  });

  it("are none of a table that is not there", () => {
    expect(listeningPorts("")).toEqual([]);
  });
});

describe("targets", () => {
  it("are every address at every port, every address first", () => {
    const targets = targetsAt("tcp", ["198.51.100.7", "2001:db8::7"], [80, 443]);
    expect(targets.map(({ address, port }) => `${address} ${port}`)).toEqual([
      "198.51.100.7 80",
      "2001:db8::7 80",
      "198.51.100.7 443",
      "2001:db8::7 443",
    ]);
  });

  it("are no more than denials are told of", () => {
    const ports = Array.from({ length: 200 }, (_, index) => index + 1);
    expect(targetsAt("udp", ["198.51.100.7"], ports).length).toBeLessThan(100);
  });
});
