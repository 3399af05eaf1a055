// The error of the SDK: brand, printing, translation of fields.
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { sdkError } from "./errors.ts";
import { SallyportError } from "./index.ts";
import { sdkField } from "./translate.ts";

describe("SallyportError", () => {
  const error = sdkError("InvalidArgument", "cpu: too much", {
    field: "cpu",
    hint: "ask for less",
    requestId: "r-1",
    cause: new Error("below"),
  });

  it("shows code, field and hint", () => {
    for (const text of [inspect(error), String(error)]) {
      for (const part of ["InvalidArgument", "cpu: too much", "ask for less", "cpu"]) expect(text).toContain(part);
    }
    expect(inspect(error)).toContain("r-1");
    expect(inspect(error)).toMatch(/\n\s+at /);
    expect(error).toBeInstanceOf(Error);
    expect(error.retryable).toBe(false);
  });

  it("is known across copies of the package, by code where one is given", () => {
    const ofAnotherCopy = Object.assign(new Error("x"), { code: "NotFound" });
    expect(SallyportError.is(ofAnotherCopy)).toBe(false);
    Object.defineProperty(ofAnotherCopy, Symbol.for("sallyport.sdk.error"), { value: true });
    expect(SallyportError.is(ofAnotherCopy, "NotFound")).toBe(true);
    expect(SallyportError.is(ofAnotherCopy, "Internal")).toBe(false);
    expect(SallyportError.is(undefined)).toBe(false);
    expect(SallyportError.is("NotFound")).toBe(false);
  });
});

describe("sdkField", () => {
  it.each([
    ["memory_mib", "memoryMiB"],
    ["cpuMillis", "cpu"],
    ["network.allow.cidrs[2]", "network.allow[2]"],
    ["network.allow[2]", "network.allow[2]"],
    ["command.argv[1]", "command[1]"],
    ["command", "command"],
    ["env.PATH", "env.PATH"],
    ["app_name", "app"],
  ])("%s → %s", (wire, sdk) => {
    expect(sdkField(wire)).toBe(sdk);
  });
});
