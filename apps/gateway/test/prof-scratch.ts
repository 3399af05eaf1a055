import { chunkOf, Harness } from "./harness.ts";
import { startRealInit } from "./real-init.ts";
const mode = process.argv[2];
const harness = await Harness.start();
const init = await startRealInit();
const io = await harness.ready({ number: 1, ...init });
if (mode === "exec") for (let i = 0; i < 500; i++) { await io.start(`t${i}`, ["true"]); await io.wait(`t${i}`); }
else for (let i = 0; i < 3; i++) { await io.start(`b${i}`, ["sh", "-c", "head -c 100000000 /dev/zero"]); let n = 0; for await (const r of io.read(`b${i}`)) n += chunkOf(r).length; }
io.close(); await harness[Symbol.asyncDispose](); await init[Symbol.asyncDispose]();
