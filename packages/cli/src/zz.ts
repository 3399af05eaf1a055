import { FakePlatform } from "@sallyport/testkit/fake-platform";
import { spawnSync, spawn } from "node:child_process";
const p = await FakePlatform.start();
console.log(p.apiUrl);
setTimeout(() => process.exit(0), 25000);
