// A registry of a test's own: speaks enough of the registry protocol (v2) that an engine can pull, serves small images that
// are made of this machine's own programs, and asks for a password at a second port.
import type { ChildProcess } from "node:child_process";
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";

export interface RegistryOptions {
  /** The network namespace to listen in. */
  readonly namespace: string;
  readonly address: string;
  /** Where everybody may pull; at the next one only those who know the password. */
  readonly port: number;
}

/**
 * Has `base:1` (a shell and a few tools), `app:1` (with user, environment, directory and command),
 * `triggers:1` (with ONBUILD) and `hostile:1` (with /etc a link out).
 */
export interface TestRegistry extends AsyncDisposable {
  /** host:port, as references begin. */
  readonly name: string;
  /** The same images, for those who know the password. */
  readonly privateName: string;
  readonly username: string;
  readonly password: string;
}

const USERNAME = "robot";
const PASSWORD = "correct-horse-battery";

const SERVER = `
const fs = require("node:fs"), http = require("node:http"), path = require("node:path");
const [root, address, port, login] = process.argv.slice(1);
const types = { m: "application/vnd.docker.distribution.manifest.v2+json", b: "application/octet-stream" };
const serve = (isPrivate) => (request, response) => {
  const url = decodeURI(request.url.split("?")[0]);
  if (isPrivate && request.headers.authorization !== "Basic " + login) {
    response.writeHead(401, { "www-authenticate": 'Basic realm="test"', "content-type": "application/json" });
    response.end(JSON.stringify({ errors: [{ code: "UNAUTHORIZED", message: "authentication required" }] }));
    return;
  }
  if (url === "/v2/") { response.writeHead(200); response.end("{}"); return; }
  const match = /^\\/v2\\/([a-z0-9/]+)\\/(manifests|blobs)\\/([A-Za-z0-9:._-]+)$/.exec(url);
  const file = match && path.join(root, match[2] === "blobs" ? "blobs" : path.join("manifests", match[1]), match[3]);
  if (!file || !fs.existsSync(file)) {
    response.writeHead(404, { "content-type": "application/json" });
    response.end(JSON.stringify({ errors: [{ code: "MANIFEST_UNKNOWN", message: "manifest unknown" }] }));
    return;
  }
  const body = fs.readFileSync(file);
  const digest = "sha256:" + require("node:crypto").createHash("sha256").update(body).digest("hex");
  const type = match[2] === "blobs" ? types.b : types.m;
  response.writeHead(200, { "content-type": type, "content-length": body.length, "docker-content-digest": digest });
  response.end(request.method === "HEAD" ? undefined : body);
};
http.createServer(serve(true)).listen(Number(port) + 1, address, () => {
  http.createServer(serve(false)).listen(Number(port), address, () => console.log("ready"));
});
`;

/** Needs root. Disposal ends it. */
export async function startTestRegistry(options: RegistryOptions): Promise<TestRegistry> {
  const root = await mkdtemp(join(tmpdir(), "registry-"));
  let server: ChildProcess | undefined;
  const dispose = async () => {
    if (server !== undefined && server.exitCode === null && server.signalCode === null) {
      const exited = once(server, "exit");
      server.kill("SIGKILL");
      await exited;
    }
    await rm(root, { recursive: true, force: true });
  };
  try {
    await fill(root);
    const login = Buffer.from(`${USERNAME}:${PASSWORD}`).toString("base64");
    const words = [process.execPath, "-e", SERVER, root, options.address, String(options.port), login];
    server = spawn("nsenter", [`--net=/run/netns/${options.namespace}`, ...words], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await firstLine(server);
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    name: `${options.address}:${options.port}`,
    privateName: `${options.address}:${options.port + 1}`,
    username: USERNAME,
    password: PASSWORD,
    [Symbol.asyncDispose]: dispose,
  };
}

const TOOLS = [
  "sh",
  "bash",
  "cat",
  "ls",
  "id",
  "env",
  "sleep",
  "mkdir",
  "touch",
  "dmesg",
  "timeout",
  "head",
  "sha256sum",
];

interface Config {
  readonly Env?: readonly string[];
  readonly WorkingDir?: string;
  readonly User?: string;
  readonly Cmd?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly OnBuild?: readonly string[];
  readonly Volumes?: Readonly<Record<string, object>>;
}

async function fill(root: string): Promise<void> {
  await mkdir(join(root, "blobs"), { recursive: true });
  const tools = await toolsLayer();
  const path = "PATH=/usr/local/bin:/bin";
  await putImage(root, "base", [tools], { Env: [path], Cmd: ["sh"] });
  const users = await filesLayer({
    "etc/passwd": "root:x:0:0:root:/:/bin/sh\napp:x:1000:1001::/srv/app:/bin/sh\n",
    "etc/group": "root:x:0:\nstaff:x:1001:\n",
    "srv/app/greeting": "hello from the image\n",
  });
  const config: Config = {
    Env: [path, "GREETING=hello", "LEVEL=image"],
    WorkingDir: "/srv/app",
    User: "app",
    Entrypoint: ["cat"],
    Cmd: ["greeting"],
    Volumes: { "/srv/app": {} },
  };
  await putImage(root, "app", [tools, users], config);
  await putImage(root, "triggers", [tools], { Env: [path], OnBuild: ["ADD http://198.51.100.1/ /x"] });
  await putImage(root, "hostile", [await linkLayer("etc", "../../../../../../tmp")], { Env: [path] });
}

/** A shell and a few tools of this machine, with the libraries that they are linked against. */
async function toolsLayer(): Promise<Buffer> {
  const files = new Set<string>();
  for (const tool of TOOLS) {
    const program = execFileSync("sh", ["-c", `readlink -f "$(command -v ${tool})"`], { encoding: "utf8" }).trim();
    const libraries = execFileSync("ldd", [program], { encoding: "utf8" }).match(/\/lib\S+/g) ?? [];
    for (const library of libraries) files.add(library.slice(1));
  }
  const staging = await mkdtemp(join(tmpdir(), "layer-"));
  try {
    for (const file of files) {
      await mkdir(join(staging, file, ".."), { recursive: true });
      execFileSync("cp", ["-L", `/${file}`, join(staging, file)]);
    }
    await mkdir(join(staging, "bin"), { recursive: true });
    for (const tool of TOOLS) {
      execFileSync("sh", ["-c", `cp -L "$(command -v ${tool})" "${join(staging, "bin", tool)}"`]);
    }
    const words = [
      "--owner=0",
      "--group=0",
      "--numeric-owner",
      "--sort=name",
      "--mtime=@0",
      "-C",
      staging,
      "-cf",
      "-",
      ".",
    ];
    return execFileSync("tar", words, { maxBuffer: 64 * 1024 * 1024 });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

async function filesLayer(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const tar = pack();
  for (const [name, text] of Object.entries(files)) tar.entry({ name, mtime: new Date(0) }, text);
  tar.finalize();
  return buffer(tar);
}

async function linkLayer(name: string, linkname: string): Promise<Buffer> {
  const tar = pack();
  tar.entry({ name, type: "symlink", linkname, size: 0 }, ignoreEnd).end(null);
  tar.finalize();
  return buffer(tar);
}

function ignoreEnd(): void {
  // The archive is read whole below.
}

async function putImage(root: string, repository: string, layers: readonly Buffer[], config: Config): Promise<void> {
  const zipped = layers.map((layer) => gzipSync(layer, { level: 1 }));
  for (const layer of zipped) await putBlob(root, layer);
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const description = {
    architecture,
    os: "linux",
    config,
    created: "1970-01-01T00:00:00Z",
    rootfs: { type: "layers", diff_ids: layers.map(digestOf) },
    history: layers.map(() => ({ created: "1970-01-01T00:00:00Z", created_by: "a test" })),
  };
  const blob = Buffer.from(JSON.stringify(description));
  await putBlob(root, blob);
  const manifest = {
    schemaVersion: 2,
    mediaType: "application/vnd.docker.distribution.manifest.v2+json",
    config: { mediaType: "application/vnd.docker.container.image.v1+json", size: blob.length, digest: digestOf(blob) },
    layers: zipped.map((layer) => ({
      mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip",
      size: layer.length,
      digest: digestOf(layer),
    })),
  };
  const text = Buffer.from(JSON.stringify(manifest));
  const directory = join(root, "manifests", repository);
  await mkdir(directory, { recursive: true });
  for (const name of ["1", "latest", digestOf(text)]) await writeFile(join(directory, name), text);
}

async function putBlob(root: string, content: Buffer): Promise<void> {
  await writeFile(join(root, "blobs", digestOf(content)), content);
}

function digestOf(content: Buffer): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}

async function firstLine(child: ChildProcess): Promise<void> {
  if (child.stdout === null) throw new Error("no stdout");
  const ended = once(child, "exit").then(() => {
    throw new Error("the registry ended before it was ready");
  });
  await Promise.race([once(createInterface(child.stdout), "line"), ended]);
}
