import { describe, expect, it } from "vitest";
import { CallPlaces } from "./call-places.ts";
import type { Principal } from "./principals.ts";

const of = (workspaceId: string): Principal => ({ kind: "workspace", workspaceId, apiTokenId: "at-1" });

describe("CallPlaces", () => {
  it("counts each workspace for itself, by whatever token", () => {
    const places = new CallPlaces(2);
    const leave = places.enter(of("a"));
    places.enter({ kind: "io_grant", workspaceId: "a", sandboxId: "s", instanceId: "i" });
    expect(() => places.enter(of("a"))).toThrow(expect.objectContaining({ code: "ResourceExhausted" }));
    places.enter(of("b"));
    leave();
    places.enter(of("a"));
    expect(() => places.enter(of("a"))).toThrow("2 calls in flight");
  });

  it("does not count the platform's own", () => {
    const places = new CallPlaces(0);
    places.enter({ kind: "worker" })();
    expect(() => places.enter(of("a"))).toThrow("0 calls");
  });
});
