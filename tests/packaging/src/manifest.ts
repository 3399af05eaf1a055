// package.json, as far as packaging is judged by it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** The packages that users install from the registry, each after those it stands on. */
export const PUBLIC_PACKAGES = ["contracts", "policy", "connect-token", "sdk", "cli"] as const;
export type PublicPackage = (typeof PUBLIC_PACKAGES)[number];

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly exports?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly bin?: Readonly<Record<string, string>>;
  readonly engines?: Readonly<Record<string, string>>;
}

/** The manifest in a folder. */
export function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
}

/** The folder of a package's sources. */
export function sourceFolder(name: string): string {
  return join(ROOT, "packages", name);
}
