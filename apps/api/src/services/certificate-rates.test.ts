import { describe, expect, it } from "vitest";
import { CERTIFICATE_RATE, STRANGE_CERTIFICATE_RATE, WORKSPACE_CERTIFICATE_RATE } from "../domain/limits.ts";
import { CertificateRates } from "./certificate-rates.ts";

function make() {
  const clock = { nowMs: 0 };
  const rates = new CertificateRates(() => clock.nowMs);
  /** How many of so many are there. */
  const take = (workspaceId: string | undefined, count: number) =>
    Array.from({ length: count }, () => rates.take(workspaceId)).filter((waitMs) => waitMs === 0).length;
  return { clock, rates, take };
}

describe("certificates", () => {
  it("of one workspace are never all that there are", () => {
    const { clock, rates, take } = make();
    expect(take("ws-1", 10_000)).toBe(WORKSPACE_CERTIFICATE_RATE.burst);
    expect(rates.take("ws-1")).toBe(1_000 / WORKSPACE_CERTIFICATE_RATE.perSecond);
    expect(take("ws-2", 100)).toBe(100);
    for (let second = 1; second <= 60; second += 1) {
      clock.nowMs = second * 1_000;
      expect([take("ws-1", 1_000), take("ws-2", 50)]).toEqual([WORKSPACE_CERTIFICATE_RATE.perSecond, 50]);
    }
  });

  it("of all together are bounded too, and those for hosts of nobody apart from them", () => {
    const { take } = make();
    const workspaces = Array.from({ length: 40 }, (_, index) => `ws-${index}`);
    const taken = workspaces.map((one) => take(one, 100)).reduce((sum, count) => sum + count, 0);
    expect(taken).toBe(CERTIFICATE_RATE.burst);
    expect(take(undefined, 1_000)).toBe(STRANGE_CERTIFICATE_RATE.burst);
  });
});
