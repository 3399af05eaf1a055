// What a browser is given after it came with a token in the query.

import { describe, expect, it } from "vitest";
import { setTokenCookies } from "./verify.ts";

const set = { name: "_modal_connect_token", token: "t", maxAgeMs: 59_999, embed: false, cookies: [] };

describe("the cookies of a token", () => {
  it("are one of the query's name and its twin, for the rest of the token's life", () => {
    expect(setTokenCookies(set)).toEqual([
      "_modal_connect_token=t; Max-Age=59; Path=/; Secure; HttpOnly; SameSite=Lax",
      "__Host-_modal_connect_token=t; Max-Age=59; Path=/; Secure; HttpOnly; SameSite=Lax",
    ]);
    expect(setTokenCookies({ ...set, maxAgeMs: -1 })[0]).toContain("Max-Age=0;");
  });

  it("work inside frames of other sites if the token says so, partitioned by these", () => {
    expect(setTokenCookies({ ...set, name: "_connect_token", embed: true })).toEqual([
      "_connect_token=t; Max-Age=59; Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
      "__Host-_connect_token=t; Max-Age=59; Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
    ]);
  });

  it("end what would count before them, or beside them", () => {
    const lines = setTokenCookies({ ...set, cookies: ["__Host-_connect_token", "__Host-_modal_connect_token"] }).slice(
      2,
    );
    expect(lines).toEqual([
      "__Host-_connect_token=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax",
      "__Host-_connect_token=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
      "__Host-_modal_connect_token=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
    ]);
  });
});
