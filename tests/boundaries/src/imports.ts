// Reads which modules each source file imports. Import syntax only: code is not run, strings in code are not searched.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT: string = fileURLToPath(new URL("../../..", import.meta.url));

/** One import of one file. */
export interface Import {
  /** From the repository's root, e.g. "packages/sdk/src/client.ts". */
  readonly file: string;
  /** The folder of its package, e.g. "packages/sdk". */
  readonly home: string;
  readonly specifier: string;
  /** What is taken of it, values alone, by the names that it has there; `*` and `default` too. */
  readonly names: readonly string[];
  /** `import type`: gone at run time. */
  readonly typeOnly: boolean;
}

/** Every TypeScript source file below a folder, from the root; tests and generated code included. */
export function sourceFiles(folder: string): string[] {
  const found: string[] = [];
  const walk = (directory: string) => {
    for (const name of readdirSync(directory)) {
      if (["node_modules", "dist", "build", "reports", ".turbo"].includes(name)) continue;
      const path = join(directory, name);
      if (statSync(path).isDirectory()) walk(path);
      else if (path.endsWith(".ts") && !path.endsWith(".d.ts")) found.push(relative(ROOT, path));
    }
  };
  walk(join(ROOT, folder));
  return found.sort();
}

/** The workspace packages below packages/ and apps/, from the root. */
export function packageFolders(): string[] {
  return ["packages", "apps"].flatMap((parent) => readdirSync(join(ROOT, parent)).map((name) => `${parent}/${name}`));
}

const SPECIFIER = /^\s*(?:import|export)\s[^;]*?from\s+"([^"]+)"|^\s*import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm;

/** All imports of a package's files. */
export function importsOf(home: string): Import[] {
  return sourceFiles(home).flatMap((file) => {
    const text = readFileSync(join(ROOT, file), "utf8");
    return [...text.matchAll(SPECIFIER)].map((match) => ({
      file,
      home,
      specifier: match[1] ?? match[2] ?? match[3] ?? "",
      names: namesOf(match[0]),
      typeOnly: /^\s*(?:import|export)\s+type\s/.test(match[0]),
    }));
  });
}

function namesOf(statement: string): string[] {
  if (!/^\s*(?:import|export)\s[^;]*?from\s/.test(statement)) return ["*"];
  const [, whole = "", braces] = /^\s*(?:import|export)\s+([^{]*)(?:\{([^}]*)\})?/.exec(statement) ?? [];
  const listed = (braces ?? "").split(",").map((one) => one.trim());
  const values = listed.filter((one) => one !== "" && !one.startsWith("type "));
  const named = values.map((one) => one.split(/\s/)[0] ?? "");
  if (whole.includes("*")) return ["*", ...named];
  return /^(?!from\b)[A-Za-z_$]/.test(whole) ? ["default", ...named] : named;
}
