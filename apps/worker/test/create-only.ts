// Begins to create a sandbox that is laid out already, so that a test can kill it halfway.
import { openRunscRuntime } from "../src/runtime/runsc/runsc-runtime.ts";

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

const runtime = await openRunscRuntime({
  runsc: setting("RUNSC"),
  conmon: "conmon",
  init: "unused",
  hide: "unused",
  stateDirectory: setting("STATE"),
  cgroupPrefix: setting("PREFIX"),
});
process.stdout.write("creating\n");
await runtime.create(setting("ID"));
