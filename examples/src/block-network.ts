// blockNetwork: the sandbox reaches nothing, and is driven from outside all the same.
import { Sandbox } from "@sallyport/sdk";
import { tries } from "./tries.ts";

await using sandbox = await Sandbox.create({ blockNetwork: true });
for (const target of [
  process.env["TARGET_INSIDE"] ?? "198.51.100.10",
  process.env["TARGET_INSIDE_IPV6"] ?? "2001:db8:51::10",
]) {
  console.log(`${target}: ${await tries(sandbox, target)}`);
}
