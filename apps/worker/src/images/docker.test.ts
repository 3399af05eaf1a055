// What is let through of the engine's words: reasons, but neither credentials nor the engine's own places.
import { describe, expect, it } from "vitest";
import { translated, withoutColours } from "./docker.ts";

const running = new AbortController().signal;
const login = { registry: "registry.example.com", username: "robot", password: "s3cret/word" };

function answered(message: string): Error {
  return Object.assign(new Error(`(HTTP code 500) server error - ${message} `), { statusCode: 500 });
}

describe("an error of the engine", () => {
  it("comes without its code", () => {
    expect(translated(answered("manifest unknown"), running, "a could not be pulled").message).toBe(
      "a could not be pulled: manifest unknown",
    );
  });

  it.each([
    "for https://robot:s3cret/word@registry.example.com/v2/",
    `header Basic ${Buffer.from("robot:s3cret/word").toString("base64")}`,
    `query ${encodeURIComponent("s3cret/word")}`,
    "bare s3cret/word",
  ])("comes without the credential: %s", (message) => {
    const text = translated(answered(message), running, "it failed", login).message;
    expect(text).not.toMatch(/s3cret|cm9ib3Q6czNjcmV0L3dvcmQ/);
  });

  it("comes without the engine's own places", () => {
    const message = "write /var/lib/sallyport/worker/engine/data/engine/overlay2/abc/diff/x: no space left on device";
    expect(translated(answered(message), running, "it failed").message).toBe(
      "it failed: write [engine]: no space left on device",
    );
  });

  it("is told from an engine that is gone, and from a call that is over", () => {
    expect(translated(new Error("socket hang up"), running, "it failed")).toMatchObject({ code: "EngineFailed" });
    const reason = new Error("enough");
    expect(translated(answered("x"), AbortSignal.abort(reason), "it failed")).toBe(reason);
  });
});

describe("output of a step", () => {
  it("comes without the builder's red", () => {
    expect(withoutColours("\u001b[91moops\u001b[0m")).toBe("oops");
    expect(withoutColours("plain")).toBe("plain");
  });
});
