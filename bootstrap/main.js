// Doorway of the clone: what `npm run demo`, `npm test` and the other root scripts start. Needs Node 20 or newer, and nothing else.
import { commands } from "./commands.js";
import { BootstrapError } from "./errors.js";

const [, , name = "", ...rest] = process.argv;
// npm hands "--" on where the user wrote it twice.
const args = rest[0] === "--" ? rest.slice(1) : rest;
const command = commands.get(name);

if (command === undefined) {
  console.error(`usage: node bootstrap/main.js ${[...commands.keys()].join("|")} [arguments]`);
  process.exitCode = 2;
} else {
  try {
    process.exitCode = await command(args);
  } catch (error) {
    // An expected failure is told in words; anything else is a fault of ours, and its stack is worth having.
    console.error(error instanceof BootstrapError ? error.message : error);
    process.exitCode = error instanceof BootstrapError ? error.exitCode : 1;
  }
}
