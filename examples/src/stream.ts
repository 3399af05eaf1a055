// A process that streams: its output arrives while it runs, its input is written while it runs, its exit code is kept.
import { Sandbox } from "@sallyport/sdk";

await using sandbox = await Sandbox.create(["sh", "-c", "echo ready; cat"]);
await sandbox.stdin.send("to the sandbox's own command\n");

const process = await sandbox.exec(["sh", "-c", "for i in 1 2 3; do echo line $i; sleep 0.1; done; exit 5"]);
for await (const line of process.stdout.lines()) console.log(line);
const status = await process.wait();
console.log(`exit code ${status.exitCode}`);

await sandbox.stdin.end();
console.log((await sandbox.stdout.text()).trim());
