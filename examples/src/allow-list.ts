// An allow list: exactly these CIDRs, of either family, and nothing else.
import { Sandbox } from "@sallyport/sdk";
import { tries } from "./tries.ts";

const { env } = process;
const allowed = [env["TARGET_CIDR"] ?? "198.51.100.0/28", env["TARGET_CIDR_IPV6"] ?? "2001:db8:51::/112"];
await using sandbox = await Sandbox.create({ outboundCidrAllowlist: allowed });
console.log(`allowed: ${allowed.join(", ")}`);
const targets = ["TARGET_INSIDE", "TARGET_OUTSIDE", "TARGET_INSIDE_IPV6", "TARGET_OUTSIDE_IPV6"];
for (const name of targets) {
  const address = env[name];
  if (address !== undefined) console.log(`${address}: ${await tries(sandbox, address)}`);
}
