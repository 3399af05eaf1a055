// Generates src/gen from proto/: messages and stubs by ts-proto, then tables of our own that ts-proto cannot give: the
// principals and the HTTP route of each method (custom options), the descriptor set for gRPC reflection and JSON, the
// OpenAPI document, and docs/reference.
// With --check it changes nothing and fails when the committed code is not what proto/ says.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { openapiOf } from "./openapi.js";
import { referenceOf } from "./reference.js";
import { readSchema } from "./schema.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const committed = join(root, "packages/contracts/src/gen");
const check = process.argv.includes("--check");
const base = check ? mkdtempSync(join(tmpdir(), "sallyport-gen-")) : root;
const gen = join(base, "packages/contracts/src/gen");
const REFERENCE = "docs/reference";
const buf = join(root, "node_modules/.bin/buf");

function run(args, options = {}) {
  return execFileSync(buf, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"], maxBuffer: 64 << 20, ...options });
}

run(["generate", "--output", base]);

const image = JSON.parse(run(["build", "--as-file-descriptor-set", "-o", "-#format=json"]).toString());
const principals = {};
const routes = [];
for (const file of image.file) {
  for (const service of file.service ?? []) {
    for (const method of service.method) {
      const path = `/${file.package}.${service.name}/${method.name}`;
      const allowed = method.options?.["[sallyport.v1.principals]"];
      if (allowed === undefined || allowed.length === 0) throw new Error(`${path} names no principal`);
      principals[path] = allowed.map((name) => name.replace(/^PRINCIPAL_/, "").toLowerCase());
      const http = method.options?.["[sallyport.v1.http]"];
      if (http === undefined) continue;
      const [verb, template] = http.split(" ");
      routes.push({ method: path, verb, path: template, serverStream: method.serverStreaming === true });
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

writeFileSync(
  join(gen, "http-routes.ts"),
  `${header}import type { HttpRoute } from "../http-route.ts";

/** Every method that is also served over HTTP, as proto/ declares it. */
export const HTTP_ROUTES: readonly HttpRoute[] = ${JSON.stringify(routes, null, 2)};
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

const schema = readSchema(run(["build", "--as-file-descriptor-set", "-o", "-#format=binpb"]));
const { version } = JSON.parse(readFileSync(join(root, "packages/contracts/package.json"), "utf8"));
const openapi = openapiOf(schema, routes, version);
writeFileSync(
  join(gen, "openapi.ts"),
  `${header}
/** The OpenAPI 3.1 document, as JSON text. */
export const OPENAPI_JSON: string = ${JSON.stringify(JSON.stringify(openapi))};
`,
);
mkdirSync(join(base, REFERENCE), { recursive: true });
writeFileSync(join(base, REFERENCE, "openapi.json"), `${JSON.stringify(openapi, null, 2)}\n`);
writeFileSync(join(base, REFERENCE, "api.md"), referenceOf(schema, routes, principals));

if (check) {
  const stale = [
    ...differences(committed, gen),
    ...["openapi.json", "api.md"]
      .map((file) => join(REFERENCE, file))
      .filter((file) => read(join(root, file)) !== read(join(base, file))),
  ];
  rmSync(base, { recursive: true });
  if (stale.length > 0) {
    console.error(`generated code is stale (run: pnpm run generate):\n${stale.map((file) => `  ${file}`).join("\n")}`);
    process.exitCode = 1;
  }
}

function differences(one, other) {
  const files = (directory) =>
    readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(directory, join(entry.parentPath, entry.name)));
  const all = new Set([...files(one), ...files(other)]);
  return [...all].filter((file) => read(join(one, file)) !== read(join(other, file)));
}

function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // not there
  }
}
