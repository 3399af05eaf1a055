import { readFile } from "node:fs/promises";
import { Sandbox } from "@sallyport/sdk";
import { startSide } from "./room.ts";
import { execSync } from "node:child_process";
const env = process.argv[2] === "cold" ? { SALLYPORT_WARM_POOL: "0" } : {};
const t0 = performance.now();
const side = await startSide(env as never);
console.log("up", Math.round(performance.now() - t0));
try {
  for (let i = 0; i < 10; i++) {
    const a = performance.now();
    const sb = await Sandbox.create(["sh", "-c", "echo hi; sleep 1000"], { client: side.client } as never);
    const c = performance.now();
    for await (const line of sb.stdout.lines()) { void line; break; }
    const b = performance.now();
    const e = performance.now(); await sb.run(["true"]); const f = performance.now();
    console.log(`created ${Math.round(c - a)} first output ${Math.round(b - a)} exec ${Math.round(f - e)}`);
    await sb.terminate();
    await new Promise((r) => setTimeout(r, 3000));
  }
  const home = (side.platform as unknown as { home: string }).home;
  console.log(execSync(`grep -h "the instance runs\\|prepared ahead" -r ${home}/log | sed 's/.*"waitMs/waitMs/; s/.*"slotMs/POOL slotMs/' | cut -c1-220 | tail -24`, { encoding: "utf8" }));
} finally { await side[Symbol.asyncDispose](); }
