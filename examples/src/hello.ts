// The smallest use: create a sandbox, run something in it, let it go.
import { Sandbox } from "@sallyport/sdk";

await using sandbox = await Sandbox.create({ lifetimeMs: 60_000 });
const { stdout } = await sandbox.run(["python3", "-c", "print(6 * 7)"]);
console.log(`${sandbox.id} says ${stdout.trim()}`);
