// A user's program that does a little of everything, in plain JavaScript, so that every runtime runs it as it is.
// It prints one line of JSON; what it says is judged by the test.
import process from "node:process";
import { App, Client, SallyportError, Sandbox } from "@sallyport/sdk";

/** @param {Promise<unknown>} promise */
async function codeOf(promise) {
  try {
    await promise;
    return "none";
  } catch (error) {
    return SallyportError.is(error) ? error.code : String(error);
  }
}

/** @type {Record<string, unknown>} */
const seen = {};
const app = await App.lookup("matrix", { createIfMissing: true });
seen.app = app.name;

const sandbox = await Sandbox.create({ app, env: { GREETING: "hello" }, outboundCidrAllowlist: ["198.51.100.0/24"] });
seen.id = sandbox.id;
seen.ran = await sandbox.run(["printenv", "GREETING"], { check: true });

const cat = await sandbox.exec(["cat"]);
await cat.stdin.send("one ");
await cat.stdin.send(new TextEncoder().encode("two"));
await cat.stdin.end();
seen.echoed = await cat.stdout.text();
seen.status = await cat.wait();

const lines = [];
const counting = await sandbox.exec(["count", "2000", "1"]);
for await (const line of counting.stdout.lines()) {
  lines.push(line);
  if (lines.length === 5) break;
}
seen.lines = lines;
await counting.kill("SIGTERM");
seen.killed = await counting.wait();

const flood = await sandbox.exec(["flood", "3000000"]);
let bytes = 0;
let wrong = 0;
for await (const chunk of flood.stdout) {
  for (const byte of chunk) if (byte !== bytes++ % 251) wrong += 1;
}
seen.flood = { bytes, wrong };

seen.failed = await codeOf(sandbox.run(["fail", "3", "why"], { check: true }));
seen.notFound = await codeOf(Sandbox.fromId("sb-none"));
seen.invalid = await codeOf(sandbox.exec([]));
const sleeping = await sandbox.exec(["sleep"]);
seen.late = await codeOf(sleeping.wait({ timeoutMs: 50 }));
const controller = new AbortController();
setTimeout(() => controller.abort(), 50);
seen.aborted = await codeOf(sleeping.wait({ signal: controller.signal }));
seen.already = await codeOf(sandbox.poll({ signal: AbortSignal.abort() }));
await sleeping.kill("SIGKILL");

const client = new Client({ token: "wrong" });
seen.stranger = await codeOf(Sandbox.fromId(sandbox.id, { client }));
await client[Symbol.asyncDispose]();
seen.closed = await codeOf(Sandbox.fromId(sandbox.id, { client }));

// Nobody speaks TLS there; the runtime's trusted authorities are read, and the call keeps its deadline.
const secured = new Client({
  url: process.env.SALLYPORT_API_URL?.replace("http://127.0.0.1", "https://localhost") ?? "",
});
seen.secured = await codeOf(Sandbox.fromId(sandbox.id, { client: secured, timeoutMs: 300 }));

const listed = [];
for await (const one of Sandbox.list()) listed.push(one.id);
seen.listed = listed;
await sandbox[Symbol.asyncDispose]();
seen.ended = await sandbox.poll();
console.log(JSON.stringify(seen));
// Nothing is closed here: the program ends because nothing holds it open.
