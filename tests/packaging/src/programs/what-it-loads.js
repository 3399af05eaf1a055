// Imports a package, and prints the URLs of all modules that this loaded, CommonJS included.
import { registerHooks } from "node:module";
import process from "node:process";

/** @type {string[]} */
const loaded = [];
registerHooks({
  load(url, context, next) {
    loaded.push(url);
    return next(url, context);
  },
});
await import(process.argv[2] ?? "");
console.log(JSON.stringify(loaded));
