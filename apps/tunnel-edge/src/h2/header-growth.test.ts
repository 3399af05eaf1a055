// Header blocks grow on their way through the relay, which uses no table towards the sandbox: what a client says in one byte
// may be a field of 4 KiB there.
import { Duplex } from "node:stream";
import { encodeHeaders, FRAME, FrameReader, headersFrames, PREFACE, settingsFrame } from "@sallyport/dataplane/http2";
import { describe, expect, it, vi } from "vitest";
import { requestFields } from "../../test/h2-peer.ts";
import { HOST } from "../../test/h2-place.ts";
import { DEFAULT_HTTP2_LIMITS } from "./limits.ts";
import { relayHttp2 } from "./relay.ts";

/** A peer that reads when it is told to. */
class Slow extends Duplex {
  readonly taken: Buffer[] = [];
  isReading = false;
  #done: (() => void) | undefined;

  override _read(): void {
    // What comes is pushed as it comes.
  }

  override _write(piece: Buffer, _encoding: string, done: () => void): void {
    this.taken.push(piece);
    if (this.isReading) setImmediate(done);
    else this.#done = done;
  }

  readOn(): void {
    this.isReading = true;
    this.#done?.();
  }
}

const VALUE_BYTES = 2_000;
const STREAMS = 200;

/** Indexed: the entry that was added last (RFC 7541, section 6.1). */
const NEWEST = Buffer.from([0x80 | 62]);

/** A request whose last field is added to the table. */
function firstRequest(): Buffer {
  const length = VALUE_BYTES - 127;
  const value = Buffer.concat([Buffer.from([127, (length & 127) | 128, length >> 7]), Buffer.alloc(VALUE_BYTES, "a")]);
  const added = Buffer.concat([Buffer.from([0x40, 1]), Buffer.from("x"), value]);
  return block(1, added);
}

function block(streamId: number, more: Buffer): Buffer {
  const fields = encodeHeaders(requestFields());
  return headersFrames(streamId, Buffer.concat([fields, more]), true, 16_384);
}

describe("a client whose requests grow", () => {
  it("is not read while a sandbox reads nothing, and all of it comes once it does", async () => {
    const [client, sandbox] = [new Slow(), new Slow()];
    client.isReading = true;
    const relay = relayHttp2(client, sandbox, { serverName: HOST, publicPort: 443 });
    const later = Array.from({ length: STREAMS - 1 }, (_, at) => block(2 * at + 3, NEWEST));
    client.push(Buffer.concat([PREFACE, settingsFrame([]), firstRequest(), ...later]));
    await vi.waitFor(() => expect(sandbox.writableNeedDrain).toBe(true));
    const { maxHeaderListBytes, maxSandboxWaitingBytes } = DEFAULT_HTTP2_LIMITS;
    expect(sandbox.writableLength).toBeLessThan(maxSandboxWaitingBytes + maxHeaderListBytes);
    expect(client.readableLength).toBeGreaterThan(0);
    sandbox.readOn();
    const streams = () => {
      const ids: number[] = [];
      const onFrame = (type: number, _flags: number, id: number) => void (type === FRAME.headers && ids.push(id));
      new FrameReader({ onFrame }, 16_384).push(Buffer.concat(sandbox.taken).subarray(PREFACE.length));
      return ids;
    };
    await vi.waitFor(() => expect(streams()).toEqual(Array.from({ length: STREAMS }, (_, at) => 2 * at + 1)));
    relay.destroy();
  });
});
