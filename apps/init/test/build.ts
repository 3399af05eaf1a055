// Builds the programs with sanitizers before the tests; they are what every test here runs.
import { execFileSync } from "node:child_process";
import { join } from "node:path";

const PACKAGE = join(import.meta.dirname, "..");

/** Path of a program of this package, built with sanitizers. */
export function sanitized(
  name:
    | "sallyport-init"
    | "sallyport-reap"
    | "sallyport-nft"
    | "sallyport-denials-parse"
    | "sallyport-resolver-sockets",
): string {
  return join(PACKAGE, "build/sanitize", name);
}

/** For vitest: `globalSetup`. */
export default function setup(): void {
  execFileSync("make", ["-s", "sanitize"], { cwd: PACKAGE, stdio: ["ignore", "inherit", "inherit"] });
}
