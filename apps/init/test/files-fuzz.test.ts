// Random and mutated input of an upload, from a generator whose seed is printed: the file is whole or is not there, and
// no sanitizer speaks. SALLYPORT_FUZZ_SEED repeats a run, SALLYPORT_FUZZ_ROUNDS makes it longer.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { generator } from "./generator.ts";
import { END, ERROR, inputData, inputEnd, run } from "./tool.ts";

const SEED = Number(process.env["SALLYPORT_FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const ROUNDS = Number(process.env["SALLYPORT_FUZZ_ROUNDS"] ?? 300);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sallyport-fuzz-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

it(`survives ${ROUNDS} uploads of seed ${SEED}`, { timeout: 120_000 }, () => {
  console.log(`SALLYPORT_FUZZ_SEED=${SEED}`);
  const random = generator(SEED);
  const below = (bound: number) => Math.floor(random() * bound);
  const bytes = (length: number) => Buffer.from(Array.from({ length }, () => below(256)));
  for (let round = 0; round < ROUNDS; round += 1) {
    const pieces = Array.from({ length: below(6) }, () => bytes(below(3_000)));
    const whole = Buffer.concat(pieces);
    let input = Buffer.concat([...pieces.map(inputData), inputEnd(whole.length)]);
    const mistakes = below(3);
    for (let n = 0; n < mistakes; n += 1) {
      const at = below(input.length);
      const kind = below(4);
      if (kind === 0) input.writeUInt8(below(256), at);
      else if (kind === 1) input = Buffer.from(input.subarray(0, Math.max(1, at)));
      else if (kind === 2) input = Buffer.concat([input.subarray(0, at), bytes(below(20)), input.subarray(at)]);
      else input = Buffer.concat([input.subarray(0, at), input.subarray(Math.min(input.length, at + below(20)))]);
      if (input.length === 0) input = Buffer.from([0]);
    }
    const { records, status, stderr } = run(["write", join(folder, "file"), "644"], input);
    expect(stderr).toBe("");
    expect([0, 1]).toContain(status);
    expect(records.map(({ type }) => type)).toEqual([status === 0 ? END : ERROR]);
    if (mistakes === 0) expect(status).toBe(0);
    expect(readdirSync(folder)).toEqual(status === 0 ? ["file"] : []);
    if (mistakes === 0) expect(readFileSync(join(folder, "file")).equals(whole)).toBe(true);
    rmSync(join(folder, "file"), { force: true });
  }
});
