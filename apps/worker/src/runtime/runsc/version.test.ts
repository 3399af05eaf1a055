import { describe, expect, it } from "vitest";
import { runscFacts } from "./version.ts";

const DEBIAN = "runsc version 0.0~20240729.0\nspec: 1.0.2-dev\n";
const NEW = "runsc version release-20260713.0\nspec: 1.1.0-rc.1\n";

describe("what a version of runsc needs", () => {
  it.each([
    [DEBIAN, true, "0.0~20240729.0", true],
    [DEBIAN, false, "0.0~20240729.0", false],
    [NEW, true, "release-20260713.0", false],
    ["something else", true, "unknown", false],
  ])("%s, the sysctl visible: %s", (text, isVisible, version, hideProcSysNet) => {
    expect(runscFacts("/runsc", text, isVisible)).toEqual({ version, hideProcSysNet });
  });
});
