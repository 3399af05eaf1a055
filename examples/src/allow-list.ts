// An allow list: exactly these CIDRs, of either family, and nothing else.
import { Sandbox } from "@sallyport/sdk";
import { showTries } from "./tries.ts";

const { env } = process;
const allowed = [env["TARGET_CIDR"] ?? "198.51.100.0/28", env["TARGET_CIDR_IPV6"] ?? "2001:db8:51::/112"];
await using sandbox = await Sandbox.create({ outboundCidrAllowlist: allowed });
console.log(`allowed: ${allowed.join(", ")}`);
await showTries(sandbox, [
  { address: env["TARGET_INSIDE"] ?? "198.51.100.10" },
  { address: env["TARGET_OUTSIDE"] ?? "198.51.100.200" },
  { address: env["TARGET_INSIDE_IPV6"] ?? "2001:db8:51::10" },
  { address: env["TARGET_OUTSIDE_IPV6"] ?? "2001:db8:51::f000:1" },
]);
