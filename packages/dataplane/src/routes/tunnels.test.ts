import { describe, expect, it } from "vitest";
import { id } from "../../test/keys.ts";
import { mayCome } from "./inbound.ts";
import type { Route, TunnelRoute } from "./route.ts";
import { RouteTable } from "./route-table.ts";

const LABEL = `tn-${"0".repeat(26)}`;
const OTHER = `tn-${"1".repeat(26)}`;
const raw: TunnelRoute = { port: 5432, kind: "raw", label: LABEL, publicPort: 30_000, proxyProtocol: false };
const tls: TunnelRoute = { port: 443, kind: "tls", label: OTHER, proxyProtocol: false };

function route(number: number, more: Partial<Route> = {}): Route {
  const ids = { sandboxId: id("sb", number), workspaceId: id("ws", 1), instanceId: id("in", number) };
  return { ...ids, state: "running", gateway: "/run/open.sock", tokenEpoch: 0, ...more };
}

describe("tunnels of a table", () => {
  let revision = 0;
  const make = () => new RouteTable({ platformId: "pf", now: () => 1_000 });
  const apply = (table: RouteTable, routes: Route[], reset = false) => {
    revision += 1;
    return table.apply({ revision, reset, routes, revoked: [] });
  };

  it("are found by label and by public port while their sandbox lives", async () => {
    const table = make();
    await apply(table, [route(1, { tunnels: [raw, tls] })]);
    expect(table.tunnelByLabel(LABEL)).toEqual({ sandboxId: id("sb", 1), tunnel: raw });
    expect(table.tunnelByLabel(OTHER)?.tunnel).toBe(tls);
    expect(table.tunnelByPublicPort(30_000)?.tunnel).toBe(raw);
    expect([...table.publicPorts()]).toEqual([30_000]);
    await apply(table, [route(1, { tunnels: [raw, tls], state: "ended" })]);
    expect(table.tunnelByLabel(LABEL)).toBeUndefined();
    expect([...table.publicPorts()]).toEqual([]);
  });

  it("pass with the public port to the next sandbox, whose they stay when the first one is told of again", async () => {
    const table = make();
    await apply(table, [
      route(1, { tunnels: [raw], state: "ended" }),
      route(2, { tunnels: [{ ...raw, label: OTHER }] }),
    ]);
    await apply(table, [route(1, { tunnels: [raw], state: "ended" })]);
    expect(table.tunnelByPublicPort(30_000)?.sandboxId).toBe(id("sb", 2));
  });

  it("go when everything begins anew without them", async () => {
    const table = make();
    await apply(table, [route(1, { tunnels: [raw] })]);
    await apply(table, [route(2)], true);
    expect(table.tunnelByLabel(LABEL)).toBeUndefined();
    expect([...table.publicPorts()]).toEqual([]);
  });
});

describe("mayCome", () => {
  const inbound = ["198.51.100.0/24", "2001:db8::/32"];

  it.each([
    [undefined, "10.1.2.3", true],
    [undefined, "nonsense", true],
    [[], "10.1.2.3", false],
    [inbound, "198.51.100.7", true],
    [inbound, "::ffff:198.51.100.7", true],
    [inbound, "198.51.101.7", false],
    [inbound, "2001:db8:ffff::1", true],
    [inbound, "2001:db9::1", false],
    [inbound, "", false],
    [inbound, "nonsense", false],
    [["0.0.0.0/0"], "2001:db8::1", false],
    [["::/0"], "198.51.100.7", false],
  ])("%j lets %s in: %s", (list, address, answer) => {
    expect(mayCome({ inbound: list }, address)).toBe(answer);
  });
});
