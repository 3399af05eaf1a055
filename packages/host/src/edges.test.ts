// Judging a machine's room for edges by its facts.
import { describe, expect, it } from "vitest";
import type { EdgeFacts } from "./edges.ts";
import { DEFAULT_RAW_PLACE, edgesNeed, hardLimit, judgeEdges, parseListeners, rawPlaceOf } from "./edges.ts";

const GOOD: EdgeFacts = {
  descriptors: 65_536,
  hasRawAddress: true,
  listeners: [],
  tunnelEdgeUid: 990,
  migrates: true,
  outgoing: { from: 32_768, to: 60_999 },
};

const TCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0200007F:4E20 00000000:0000 0A 00000000:00000000 00:00000000 00000000   990        0 1 1 0 100 0 0 10 0
   1: 00000000:4E21 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0100007F:4E22 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
`;
const TCP6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:4E23 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   100        0 1 1 0 100 0 0 10 0
   1: 00000000000000000000000001000000:4E24 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   100        0 1 1 0 100 0 0 10 0
`;

describe("judgeEdges", () => {
  it("is content with enough open files, the address, and ports that are nobody's but the tunnel-edge's", () => {
    const listeners = parseListeners(TCP).filter(({ uid }) => uid === 990);
    expect(judgeEdges(DEFAULT_RAW_PLACE, { ...GOOD, listeners })).toMatchObject({ state: "ok" });
  });

  it("warns of each that keeps edges from what they could do, and never refuses", () => {
    const finding = judgeEdges(
      { address: "198.51.100.1", ports: { from: 20_000, to: 40_000 } },
      {
        ...GOOD,
        descriptors: 1_024,
        hasRawAddress: false,
        listeners: [...parseListeners(TCP), ...parseListeners(TCP6)],
      },
    );
    expect(finding.state).toBe("warning");
    expect(finding.problem).toContain("1024 open files, which is some 462 connections");
    expect(finding.problem).toContain("198.51.100.1 is no address of this machine");
    expect(finding.problem).toContain("listen at: 20001, 20003");
    expect(finding.problem).toContain("20000-40000 may be taken by outgoing connections");
    expect(finding.cure?.say).toHaveLength(4);
  });

  it("warns of connections that a restart may reset: where the kernel cannot help, or a platform runs and it is off", () => {
    const listeners = parseListeners(TCP).filter(({ uid }) => uid === 990);
    const judge = (facts: Partial<EdgeFacts>) => judgeEdges(DEFAULT_RAW_PLACE, { ...GOOD, ...facts });
    expect(judge({ migrates: false })).toMatchObject({ state: "ok" }); // the platform switches it on
    expect(judge({ migrates: false, listeners })).toMatchObject({
      state: "warning",
      problem: expect.stringContaining("net.ipv4.tcp_migrate_req is off") as string,
      cure: { say: ["sysctl -w net.ipv4.tcp_migrate_req=1"] },
    });
    expect(judge({ migrates: undefined })).toMatchObject({ cure: { say: ["use Linux 5.14 or later"] } });
  });
});

describe("what it judges by", () => {
  it("are those who listen, each with address, port and user", () => {
    expect(parseListeners(TCP)).toEqual([
      { isEverywhere: false, address: "127.0.0.2", port: 20_000, uid: 990 },
      { isEverywhere: true, address: "0.0.0.0", port: 20_001, uid: 0 },
    ]);
    expect(parseListeners(TCP6)).toEqual([
      { isEverywhere: true, address: undefined, port: 20_003, uid: 100 },
      { isEverywhere: false, address: undefined, port: 20_004, uid: 100 },
    ]);
  });

  it("is the hard limit of open files", () => {
    expect(
      hardLimit(
        "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n",
      ),
    ).toBe(524_288);
    expect(hardLimit("Max open files            1024                 unlimited            files\n")).toBe(
      Number.POSITIVE_INFINITY,
    );
  });

  it("is the place that the settings name", () => {
    const SALLYPORT_TUNNEL_RAW_PORTS = "21000-21009";
    expect(rawPlaceOf({ SALLYPORT_TUNNEL_RAW_ADDRESS: "127.0.0.9", SALLYPORT_TUNNEL_RAW_PORTS })).toEqual({
      address: "127.0.0.9",
      ports: { from: 21_000, to: 21_009 },
    });
    expect(rawPlaceOf({ SALLYPORT_TUNNEL_RAW_ADDRESS: "raw.example" })).toEqual(DEFAULT_RAW_PLACE);
  });

  it("can be found on a real machine", async () => {
    expect(["ok", "warning"]).toContain((await edgesNeed().probe()).state);
    const nowhere = await edgesNeed({ address: "198.51.100.77", ports: DEFAULT_RAW_PLACE.ports }).probe();
    expect(nowhere.problem).toContain("198.51.100.77");
  });
});
