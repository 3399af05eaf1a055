#!/usr/bin/env node
// Doorway of the command.
import { Client } from "@sallyport/sdk";
import { runCli } from "./cli.ts";

const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => stop.abort(name));
// A reader that went away shows in the write that fails.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

process.exitCode = await runCli(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signal: stop.signal,
  isRoot: process.getuid?.() === 0,
  createClient: () => new Client(),
});
// An open standard input would keep the program.
process.stdin.destroy();
