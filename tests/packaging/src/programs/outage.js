// A user's program that reads and waits while the test kills the gateway again and again.
import { Sandbox } from "@sallyport/sdk";

const sandbox = await Sandbox.create();
const process = await sandbox.exec(["count", "1500", "2"]);
const [text, status] = await Promise.all([process.stdout.text(), process.wait()]);
const lines = text.trimEnd().split("\n");
console.log(JSON.stringify({ lines: lines.length, inOrder: lines.every((line, at) => line === String(at)), status }));
await sandbox.terminate();
