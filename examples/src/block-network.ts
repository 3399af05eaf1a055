// blockNetwork: the sandbox reaches nothing, and is driven from outside all the same.
import { Sandbox } from "@sallyport/sdk";
import { showTries } from "./tries.ts";

const { env } = process;
await using sandbox = await Sandbox.create({ blockNetwork: true });
await showTries(sandbox, [
  { address: env["TARGET_INSIDE"] ?? "198.51.100.10" },
  { address: env["TARGET_INSIDE_IPV6"] ?? "2001:db8:51::10" },
]);
