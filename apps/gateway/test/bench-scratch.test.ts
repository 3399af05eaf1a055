import { it } from "vitest";
import { ChildGateway } from "./child-gateway.ts";
import { chunkOf } from "./harness.ts";
import { readFileSync } from "node:fs";
it("bench", async () => {
  await using gateway = await ChildGateway.start();
  const { io } = gateway;
  const pid = (gateway as never as { pidForTest: number }).pidForTest;
  const cpu = () => { const f = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" "); return (Number(f[11]) + Number(f[12])) * 10; };
  const run = async (n: number) => {
    const lat: number[] = []; const c0 = cpu(); const own = process.cpuUsage();
    for (let i = 0; i < n; i++) {
      const id = `t${n}-${i}`; const t = performance.now();
      await io.start(id, ["true"]); await io.wait(id); lat.push(performance.now() - t);
    }
    lat.sort((a, b) => a - b);
    const o = process.cpuUsage(own);
    console.log(n, "p50", lat[n >> 1]!.toFixed(2), "min", lat[0]!.toFixed(2), "gateway cpu/exec", ((cpu() - c0) / n).toFixed(2), "client cpu/exec", ((o.user + o.system) / 1000 / n).toFixed(2));
  };
  await run(200); await run(400);
  for (let round = 0; round < 3; round++) {
    const c0 = cpu(); const t = performance.now(); const own = process.cpuUsage();
    await io.start(`b${round}`, ["sh", "-c", "head -c 100000000 /dev/zero"]);
    let n = 0, m = 0;
    for await (const r of io.read(`b${round}`)) { n += chunkOf(r).length; m++; }
    const o = process.cpuUsage(own); const ms = performance.now() - t;
    console.log("MB/s", (n / 1e3 / ms).toFixed(1), "msgs", m, "gateway cpu ms", cpu() - c0, "client cpu ms", ((o.user + o.system) / 1000).toFixed(0), "RSS", gateway.residentBytes >> 20);
  }
}, 120000);
