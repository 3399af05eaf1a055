// The kernel that the sandboxed program meets is gVisor's, not the host's.
import { Sandbox } from "@sallyport/sdk";

await using sandbox = await Sandbox.create();
const { stdout } = await sandbox.run(["dmesg"], { check: true });
for (const line of stdout.trim().split("\n").slice(0, 4)) console.log(line);
