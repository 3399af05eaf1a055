import { expect, it } from "vitest";
import { OomSamples } from "./oom-samples.ts";

it("takes kills for recent that came after the last sample but one", () => {
  const samples = new OomSamples();
  expect(samples.recent(1)).toBe(1);
  samples.add(1);
  expect(samples.recent(1)).toBe(1);
  samples.add(1);
  expect(samples.recent(1)).toBe(0);
  expect(samples.recent(2)).toBe(1);
});
