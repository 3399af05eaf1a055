// How fast bytes go: a process's output to its reader, a file in, a file out. Every byte is compared.
import { createHash, randomFillSync } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { Sandbox } from "@sallyport/sdk";
import { runWith, stream } from "./command.ts";
import type { DockerPeer } from "./docker-peer.ts";
import type { Room } from "./room.ts";
import type { Result } from "./stats.ts";
import { compare, timed } from "./stats.ts";

const ROUNDS = 5;
const BYTES = 100_000_000;
const WRITER = ["head", "-c", String(BYTES), "/dev/zero"] as const;
/** In the sandbox, on its own root file system. */
const FILE = "/srv/bench.bin";

/** The three ways of one side. */
interface Mover {
  output(): Promise<void>;
  upload(from: string): Promise<void>;
  download(to: string): Promise<void>;
}

interface Speeds {
  readonly output: number[];
  readonly upload: number[];
  readonly download: number[];
}

export async function benchThroughput({ say, signal, ours, docker }: Room): Promise<Result[]> {
  const directory = await mkdtemp(join(tmpdir(), "spb-bytes-"));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const from = join(directory, "from");
  await writeFile(from, randomFillSync(Buffer.alloc(BYTES)));
  const wanted = await digestOf(from);
  const sandbox = stack.use(await Sandbox.create({ client: ours.client, memoryMiB: 1_024 }));
  const mine = { mover: ourMover(sandbox), speeds: noSpeeds() };
  const theirs = docker === undefined ? undefined : { mover: await dockerMover(docker), speeds: noSpeeds() };
  for (let round = 0; round <= ROUNDS; round += 1) {
    say(`throughput: round ${round} of ${ROUNDS}`);
    for (const { mover, speeds } of theirs === undefined ? [mine] : [mine, theirs]) {
      signal.throwIfAborted();
      const to = join(directory, "to");
      const outputMs = await timed(() => mover.output());
      const uploadMs = await timed(() => mover.upload(from));
      const downloadMs = await timed(() => mover.download(to));
      if ((await digestOf(to)) !== wanted) throw new Error("the file came back as another");
      await rm(to);
      if (round === 0) continue; // warm-up
      speeds.output.push(speedOf(outputMs));
      speeds.upload.push(speedOf(uploadMs));
      speeds.download.push(speedOf(downloadMs));
    }
  }
  const peer = theirs?.speeds ?? noSpeeds();
  const beside = (name: keyof Speeds, peerName: string) =>
    compare({ name: `throughput/${name}`, unit: "MB/s", ours: mine.speeds[name], peerName, peer: peer[name] });
  return [
    beside("output", "docker exec, its stdout read"),
    beside("upload", "docker exec -i … cat > FILE"),
    beside("download", "docker exec … cat FILE"),
  ];
}

function ourMover(sandbox: Sandbox): Mover {
  return {
    async output() {
      const zeros = new Zeros();
      const process = await sandbox.exec(WRITER);
      for await (const chunk of process.stdout) zeros.take(chunk);
      zeros.mustBeAll();
    },
    upload: (from) => sandbox.fs.upload(from, FILE),
    download: (to) => sandbox.fs.download(FILE, to),
  };
}

async function dockerMover(docker: DockerPeer): Promise<Mover> {
  const id = await docker.resident();
  const { client } = docker.engine;
  return {
    async output() {
      const zeros = new Zeros();
      await stream([...client, "exec", id, ...WRITER], (chunk) => zeros.take(chunk));
      zeros.mustBeAll();
    },
    async upload(from) {
      await using file = await open(from, "r");
      await runWith([...client, "exec", "-i", id, "sh", "-c", `cat > ${FILE}`], [file.fd, "ignore", "pipe"]);
    },
    async download(to) {
      await using file = await open(to, "w");
      await runWith([...client, "exec", id, "cat", FILE], ["ignore", file.fd, "pipe"]);
    },
  };
}

/** Takes bytes that must all be zero, and counts them. */
class Zeros {
  static readonly #page = Buffer.alloc(1024 * 1024);
  #bytes = 0;

  take(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; at += Zeros.#page.length) {
      const piece = chunk.subarray(at, at + Zeros.#page.length);
      if (Zeros.#page.compare(piece, 0, piece.length, 0, piece.length) !== 0) throw new Error("other bytes came");
    }
    this.#bytes += chunk.length;
  }

  mustBeAll(): void {
    if (this.#bytes !== BYTES) throw new Error(`${this.#bytes} bytes came of ${BYTES}`);
  }
}

function noSpeeds(): Speeds {
  return { output: [], upload: [], download: [] };
}

/** In 10^6 bytes per second. */
function speedOf(ms: number): number {
  return BYTES / 1_000 / ms;
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
