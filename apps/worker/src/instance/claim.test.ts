// Which policy a command starts under.
import { systemClock } from "@sallyport/appkit/clock";
import { silentLogger } from "@sallyport/appkit/logger";
import { compile, type NetworkPolicy } from "@sallyport/policy";
import { describe, expect, it } from "vitest";
import { type ClaimOptions, claim } from "./claim.ts";
import type { InstanceParts } from "./parts.ts";
import type { InstanceSpec } from "./record.ts";
import { startTimeline } from "./timeline.ts";

const network = (generation: number, policy: NetworkPolicy): InstanceSpec["network"] => {
  return { generation, rules: compile(policy, []) };
};
const SPEC: InstanceSpec = {
  imageDigest: `sha256:${"a".repeat(64)}`,
  limits: { cpuMillis: 100, memoryMiB: 64, pids: 256 },
  lifetimeMs: 1_000,
  command: ["true"],
  env: {},
  workdir: "/",
  network: network(1, "open"),
};

/** What was done, in order; `onPolicy` is called while the kernel is told. */
function opened(onPolicy: (count: number) => void): { readonly parts: InstanceParts; readonly done: string[] } {
  const done: string[] = [];
  let count = 0;
  const parts = {
    network: {
      async applyPolicy(_slot: unknown, { mode }: { readonly mode: string }) {
        count += 1;
        onPolicy(count);
        done.push(mode);
      },
    },
    runtime: { setLimits: async () => {}, writeEtc: async () => {}, thaw: async () => {} },
    gateway: {
      attach: async () => {},
      startEntrypoint: async () => void done.push("started"),
      open: async () => {},
    },
    clock: systemClock,
    logger: silentLogger,
  };
  return { parts: parts as unknown as InstanceParts, done };
}

const options = (newestNetwork: ClaimOptions["newestNetwork"]): ClaimOptions => ({
  attached: true,
  door: {
    instanceId: "in-01j00000000000000000000001",
    sandboxId: "sb-01j00000000000000000000001",
    generation: 1,
    initSecret: "",
    slot: { ipv4: "198.51.100.2", ipv6: "2001:db8::2", routerIpv4: "198.51.100.1" },
  } as ClaimOptions["door"],
  containerId: "bx-01j00000000000000000000001",
  slot: 1,
  spec: SPEC,
  newestNetwork,
  signal: new AbortController().signal,
  timeline: startTimeline(() => 0),
});

describe("a claim", () => {
  it("starts the command under the policy of its specification", async () => {
    const { parts, done } = opened(() => {});
    expect(
      await claim(
        parts,
        options(() => SPEC.network),
      ),
    ).toBe(SPEC.network);
    expect(done).toEqual(["open", "started"]);
  });

  it("starts it only under the newest, however many come meanwhile", async () => {
    let newest = SPEC.network;
    const coming = [network(2, "blocked"), network(3, { allow: [] })];
    const { parts, done } = opened(() => {
      newest = coming.shift() ?? newest;
    });
    expect(
      (
        await claim(
          parts,
          options(() => newest),
        )
      ).generation,
    ).toBe(3);
    expect(done).toEqual(["open", "blocked", "allow", "started"]);
  });

  it("starts nothing where the newest is refused", async () => {
    let newest = SPEC.network;
    const { parts, done } = opened((count) => {
      if (count > 1) throw new Error("refused");
      newest = network(2, "blocked");
    });
    await expect(
      claim(
        parts,
        options(() => newest),
      ),
    ).rejects.toMatchObject({ code: "PolicyNotApplied" });
    expect(done).toEqual(["open"]);
  });
});
