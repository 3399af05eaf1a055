// API tokens and page tokens: what is made is taken back, what was touched is not.
import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { newToken, parseToken, sameHash } from "./api-token.ts";
import { newId } from "./ids.ts";
import { openPageToken, sealPageToken } from "./page-token.ts";

describe("API tokens", () => {
  it("are parsed into the id and the hash that they were made with", () => {
    const id = newId("apiToken");
    const { text, secretHash } = newToken(id);
    expect(text).toMatch(/^sp_[0-9a-z]{26}_[A-Za-z0-9_-]{43}$/);
    const parts = parseToken(text);
    expect(parts?.apiTokenId).toBe(id);
    expect(sameHash(parts?.secretHash ?? Buffer.alloc(0), secretHash)).toBe(true);
  });

  it("have one spelling", () => {
    const { text } = newToken(newId("apiToken"));
    // The last character carries two unused bits: three other characters would decode to the same bytes.
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const good = alphabet.split("").filter((character) => parseToken(text.slice(0, -1) + character) !== undefined);
    expect(good).toHaveLength(16);
    for (const bad of [
      "",
      "sp_",
      text.toUpperCase(),
      ` ${text}`,
      `${text}\n`,
      `${text}x`,
      text.replace("sp_", "sq_"),
    ]) {
      expect(parseToken(bad), bad).toBeUndefined();
    }
  });
});

describe("page tokens", () => {
  const key = randomBytes(32);
  const listing = ["sandboxes", "ws-1", undefined, false];
  const token = sealPageToken(key, listing, "sb-1");

  it("say where to go on", () => {
    expect(openPageToken(key, listing, token)).toBe("sb-1");
  });

  it("are worth nothing elsewhere", () => {
    expect(openPageToken(key, ["sandboxes", "ws-2", undefined, false], token)).toBeUndefined();
    expect(openPageToken(key, ["sandboxes", "ws-1", "app", false], token)).toBeUndefined();
    expect(openPageToken(key, ["sandboxes", "ws-1", undefined, true], token)).toBeUndefined();
    expect(openPageToken(randomBytes(32), listing, token)).toBeUndefined();
  });

  it("are refused when any character was touched", () => {
    for (let index = 0; index < token.length; index += 1) {
      const other = token[index] === "A" ? "B" : "A";
      const touched = token.slice(0, index) + other + token.slice(index + 1);
      expect(openPageToken(key, listing, touched), touched).toBeUndefined();
    }
    for (const bad of ["", "x", "=", token.slice(0, -1), `${token}AA`])
      expect(openPageToken(key, listing, bad)).toBeUndefined();
  });
});
