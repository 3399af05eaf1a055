// Who may come to a sandbox that not everybody may use: told by the client's address, and to nobody without a good token.
import { beforeAll, describe, expect, it } from "vitest";
import {
  answered,
  bearer,
  codeOf,
  cookie,
  facts,
  forwarded,
  OTHER,
  Place,
  route,
  SANDBOX,
} from "../test/rules/place.ts";

const INSIDE = "198.51.100.7";
const OUTSIDE = "198.51.101.7";
const PROXY = "10.0.0.1";

let place: Place;
let token: string;
beforeAll(async () => {
  place = await Place.start();
  token = await place.token();
});

async function rulesFor(inbound: readonly string[] | undefined, trusted = "") {
  await place.apply([route(SANDBOX, { inbound })]);
  return place.rules({ isTrustedPeer: (address) => address === trusted });
}

describe("a sandbox that lists who may come", () => {
  it.each([
    [["198.51.100.0/24"], INSIDE, true],
    [["198.51.100.0/24"], OUTSIDE, false],
    [["198.51.100.7/32"], "::ffff:198.51.100.7", true],
    [["2001:db8::/32"], "2001:db8::7", true],
    [["2001:db8::/32"], INSIDE, false],
    [["0.0.0.0/0"], "2001:db8::7", false],
    [["0.0.0.0/0", "::/0"], "2001:db8::7", true],
    [["0.0.0.0/0", "::/0"], "", false],
    [[], INSIDE, false],
    [undefined, "", true],
  ])("%j takes %j: %s", async (inbound, peerAddress, isTaken) => {
    const rules = await rulesFor(inbound);
    const decision = await rules.decide(facts({ peerAddress, lines: [bearer(token)] }));
    expect(decision.kind).toBe(isTaken ? "forward" : "answer");
    if (decision.kind === "answer") expect(decision.answer).toMatchObject({ status: 403, code: "AddressNotAllowed" });
  });

  it("looks at each request, also with a token that is remembered and a head that was read before", async () => {
    const rules = await rulesFor(["198.51.100.0/24"]);
    const lines = [bearer(token)];
    const notes = { carried: undefined };
    await forwarded(rules, { peerAddress: INSIDE, lines, notes });
    expect(await codeOf(rules, { peerAddress: OUTSIDE, lines, notes })).toBe("AddressNotAllowed");
    await forwarded(rules, { peerAddress: INSIDE, lines, notes });
    expect(rules.rememberedTokens).toBe(1);
  });

  it("sets no cookies, leads nowhere and opens no WebSocket for who is outside", async () => {
    const rules = await rulesFor(["198.51.100.0/24"]);
    const navigates = ["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"];
    for (const asked of [
      { target: `/?_connect_token=${token}` },
      { target: `/?_connect_token=${token}`, lines: navigates },
      { lines: [cookie(token)] },
      { lines: [bearer(token)], isWebSocket: true },
      { lines: [bearer(token)], method: "OPTIONS" },
    ]) {
      const { code, headers } = await answered(rules, { peerAddress: OUTSIDE, ...asked });
      expect(code).toBe("AddressNotAllowed");
      expect(headers.filter(([name]) => name === "Set-Cookie" || name === "Location")).toEqual([]);
    }
  });

  it("looks like any other to who has no good token", async () => {
    const rules = await rulesFor([]);
    const wrong = await place.token({ sandboxId: OTHER });
    const ask = (sandboxId: string, lines: readonly string[]) =>
      answered(rules, { sandboxId, host: `${sandboxId}.localhost:7443`, peerAddress: OUTSIDE, lines });
    for (const lines of [[], [bearer("x")], [bearer(token.slice(0, -9))]]) {
      expect(await ask(SANDBOX, lines)).toEqual(await ask(OTHER, lines));
    }
    expect((await ask(SANDBOX, [bearer(wrong)])).code).toBe("WrongSandbox");
  });

  it("goes by what the operator's own proxy says, and by nobody else's word", async () => {
    const said = [bearer(token), `X-Forwarded-For: ${OUTSIDE}, ${INSIDE}`];
    const rules = await rulesFor(["198.51.100.0/24"], PROXY);
    await forwarded(rules, { peerAddress: PROXY, lines: said });
    expect(await codeOf(rules, { peerAddress: OUTSIDE, lines: said })).toBe("AddressNotAllowed");
    const turned = [bearer(token), `X-Forwarded-For: ${INSIDE}, ${OUTSIDE}`];
    expect(await codeOf(rules, { peerAddress: PROXY, lines: turned })).toBe("AddressNotAllowed");
    expect(await codeOf(rules, { peerAddress: PROXY, lines: [bearer(token)] })).toBe("AddressNotAllowed");
    const own = await rulesFor([`${PROXY}/32`], PROXY);
    expect(await codeOf(own, { peerAddress: PROXY, lines: said })).toBe("AddressNotAllowed");
  });
});
