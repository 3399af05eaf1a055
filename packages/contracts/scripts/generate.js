// Generates src/gen from proto/: messages and stubs by ts-proto, then two tables of our own that ts-proto cannot give:
// the principals of each method (a custom option) and the descriptor set for gRPC reflection.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const gen = join(root, "packages/contracts/src/gen");
const buf = join(root, "node_modules/.bin/buf");

function run(args, options = {}) {
  return execFileSync(buf, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"], maxBuffer: 64 << 20, ...options });
}

run(["generate"]);

const image = JSON.parse(run(["build", "--as-file-descriptor-set", "-o", "-#format=json"]).toString());
const principals = {};
for (const file of image.file) {
  for (const service of file.service ?? []) {
    for (const method of service.method) {
      const path = `/${file.package}.${service.name}/${method.name}`;
      const allowed = method.options?.["[sallyport.v1.principals]"];
      if (allowed === undefined || allowed.length === 0) throw new Error(`${path} names no principal`);
      principals[path] = allowed.map((name) => name.replace(/^PRINCIPAL_/, "").toLowerCase());
    }
  }
}

const header = "// Generated from proto/ by scripts/generate.js. Not to be edited.\n";
writeFileSync(
  join(gen, "principals.ts"),
  `${header}import type { PrincipalKind } from "../principals.ts";

/** Who may call each method, as proto/ declares it. What is not listed is refused. */
export const METHOD_PRINCIPALS: Readonly<Record<string, readonly PrincipalKind[]>> = ${JSON.stringify(principals, null, 2)};
`,
);

const descriptorSet = run(["build", "--as-file-descriptor-set", "--exclude-source-info", "-o", "-#format=binpb"]);
writeFileSync(
  join(gen, "descriptor-set.ts"),
  `${header}
/** The FileDescriptorSet of proto/ with everything it imports, base64, for gRPC server reflection. */
export const DESCRIPTOR_SET_BASE64: string =
  "${descriptorSet.toString("base64")}";
`,
);
