// Random and mutated frames, before and after HELLO, from a generator whose seed is printed: init answers or closes, and
// never ends, hangs or makes a sanitizer speak. SALLYPORT_FUZZ_SEED repeats a run, SALLYPORT_FUZZ_ROUNDS makes it longer.
import { expect, it } from "vitest";
import { generator } from "./generator.ts";
import { descendants, InitProcess } from "./init-process.ts";
import { Peer } from "./peer.ts";
import * as wire from "./wire.ts";

const SEED = Number(process.env["SALLYPORT_FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const ROUNDS = Number(process.env["SALLYPORT_FUZZ_ROUNDS"] ?? 1_000);
const FRAMES_PER_ROUND = 60;
const PATH = `PATH=${process.env["PATH"]}`;

class Fuzzer {
  readonly #random: () => number;
  #highestHandle = 1;

  constructor(seed: number) {
    this.#random = generator(seed);
  }

  below(bound: number): number {
    return Math.floor(this.#random() * bound);
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.below(choices.length)] ?? choices[0];
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  sawHandle(handle: number): void {
    this.#highestHandle = Math.max(this.#highestHandle, handle);
  }

  handle(): number {
    return this.below(10) === 0 ? this.below(2 ** 32) : Math.max(1, this.#highestHandle - this.below(8));
  }

  offset(): number {
    return this.pick([0, 0, 1, 5, this.below(70_000), this.below(2 ** 40)]);
  }

  command(): readonly string[] {
    return this.pick<readonly string[]>([
      ["true"],
      ["false"],
      ["cat"],
      ["sh", "-c", "echo out; echo err >&2"],
      ["head", "-c", String(this.below(600_000)), "/dev/zero"],
      ["sh", "-c", "exec 0<&-; sleep 0.2 & exit 3"],
      ["no-such-program"],
    ]);
  }

  start(): Buffer {
    return wire.start({
      id: `f${this.below(400)}`,
      argv: this.command(),
      env: [PATH],
      stdin: this.below(2) === 0,
      cwd: this.pick(["", "/", "/no", "/usr"]),
      ...(this.below(3) === 0 ? { pty: { columns: this.below(300), rows: this.below(300) } } : {}),
    });
  }

  /** A frame that is well formed, about things that may exist. */
  frame(): Buffer {
    const handle = this.handle();
    const input = () => wire.input(handle, this.offset(), this.bytes(this.below(200)));
    return this.pick<() => Buffer>([
      () => (this.below(3) === 0 ? this.start() : wire.ping(this.below(2 ** 32))),
      () => wire.resume(handle, 1 + this.below(2), this.pick([0, 0, 0, this.offset()])),
      () => wire.ack(handle, 1 + this.below(2), this.pick([0, 0, 1, this.offset()])),
      input,
      () => wire.inputEnd(handle, this.pick([0, this.offset()])),
      () => wire.signal(handle, this.pick([2, 9, 15, 19, 18])),
      () => wire.resize(handle, this.below(65_536), this.below(65_536)),
      () => wire.forget(handle),
      () => wire.ping(this.below(2 ** 32)),
    ])();
  }

  /** Bytes with a mistake in them: a bit, a number, a length or a type that is another, cut short, longer, or noise. */
  mutated(frame: Buffer): Buffer {
    const copy = Buffer.from(frame);
    const at = this.below(copy.length);
    switch (this.below(8)) {
      case 0:
        copy.writeUInt8(copy.readUInt8(at) ^ (1 << this.below(8)), at);
        return copy;
      case 1: {
        const cut = copy.subarray(0, Math.max(5, at));
        cut.writeUInt32BE(cut.length - 5, 0);
        return cut;
      }
      case 2:
        copy.writeUInt32BE(this.pick([0, 1, 65_536, 65_537, 1_048_576, 1_048_577, 2 ** 32 - 1]), 0);
        return copy;
      case 3:
        copy.writeUInt8(this.below(256), 4);
        return copy;
      case 4: {
        const longer = Buffer.concat([copy, this.bytes(1 + this.below(20))]);
        longer.writeUInt32BE(longer.length - 5, 0);
        return longer;
      }
      case 5:
      case 6: {
        if (copy.length < 9) return copy.subarray(0, at);
        const extremes = this.pick([
          0,
          1,
          255,
          65_535,
          2 ** 31,
          2 ** 32 - 1,
          copy.length,
          Math.max(0, copy.length - this.below(20)),
        ]);
        copy.writeUInt32BE(extremes, 5 + this.below(copy.length - 8));
        return copy;
      }
      default:
        return this.bytes(1 + this.below(300));
    }
  }
}

async function spray(peer: Peer, fuzzer: Fuzzer, mutationsIn: number): Promise<void> {
  for (let sent = 0; sent < FRAMES_PER_ROUND && !peer.isClosed; sent += 1) {
    const isMutated = fuzzer.below(mutationsIn) === 0;
    // START is where the most can be wrong, and is not started when it is.
    const bytes = isMutated ? fuzzer.mutated(fuzzer.below(2) === 0 ? fuzzer.start() : fuzzer.frame()) : fuzzer.frame();
    // In pieces, so that frames also arrive in parts.
    const cut = fuzzer.below(4) === 0 ? fuzzer.below(bytes.length) : bytes.length;
    peer.socket.write(bytes.subarray(0, cut));
    if (cut < bytes.length) await new Promise((resolve) => setImmediate(resolve));
    peer.socket.write(bytes.subarray(cut));
  }
  for (const { type, payload } of peer.frames.splice(0)) {
    if (type === wire.STARTED) fuzzer.sawHandle(payload.readUInt32BE(1 + payload.readUInt8(0)));
  }
}

it(`survives ${ROUNDS * FRAMES_PER_ROUND} frames of seed ${SEED}`, { timeout: 300_000 }, async () => {
  console.log(`SALLYPORT_FUZZ_SEED=${SEED}`);
  const fuzzer = new Fuzzer(SEED);
  await using init = await InitProcess.start();
  for (let round = 0; round < ROUNDS; round += 1) {
    const isStranger = fuzzer.below(5) === 0;
    await using peer = isStranger ? await Peer.open(init.port) : await init.peer();
    if (isStranger && fuzzer.below(2) === 0) peer.send(fuzzer.mutated(wire.hello(init.secret)));
    await spray(peer, fuzzer, fuzzer.pick([2, 10, 1_000]));
    // The records are kept few: their starts are what takes the time.
    if (round % 20 === 19) await forgetAll(init);
    await using judge = await init.peer();
    await judge.pong(round);
  }
  await forgetAll(init);
  expect(init.isRunning).toBe(true);
});

async function forgetAll(init: InitProcess): Promise<void> {
  const { peer, records } = await init.greet();
  for (const { handle, flags } of records) {
    // CONT as well: a stopped process ends only then.
    peer.send(wire.signal(handle, 9), wire.signal(handle, 18));
    if ((flags & 2) === 0) await peer.exit(handle);
    peer.send(wire.forget(handle));
  }
  await peer.pong();
  expect((await init.greet()).records).toEqual([]);
  expect(descendants(init.pid).length).toBeLessThan(50);
  await peer[Symbol.asyncDispose]();
}
