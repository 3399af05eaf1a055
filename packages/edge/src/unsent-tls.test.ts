// Bytes of TLS itself, to a client that asks for them and reads none.
import { once } from "node:events";
import { Duplex } from "node:stream";
import { connect, createSecureContext, TLSSocket } from "node:tls";
import { makeAuthority } from "@sallyport/testkit/certificates";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { CIPHER, clientSecret, keyUpdates } from "../test/key-updates.ts";
import { UnsentTls } from "./unsent-tls.ts";

const MAX_BYTES = 65_536;

/** One end of a connection, which takes no more bytes when it is told so. */
class End extends Duplex {
  other: End | undefined;
  takesBytes = true;

  override _read(): void {
    // What comes is pushed as it comes.
  }

  override _write(piece: Buffer, _encoding: string, done: () => void): void {
    if (!this.takesBytes) return; // and never tells that they have gone
    this.other?.push(piece);
    setImmediate(done);
  }
}

let client: TLSSocket;
let secure: TLSSocket;
let [clientEnd, serverEnd] = [new End(), new End()];
let secret: Buffer;
let unsent: UnsentTls;

beforeEach(async () => {
  const authority = await makeAuthority();
  const { cert, key } = await authority.issue(["one.test"]);
  [clientEnd, serverEnd] = [new End(), new End()];
  [clientEnd.other, serverEnd.other] = [serverEnd, clientEnd];
  secure = new TLSSocket(serverEnd, { isServer: true, secureContext: createSecureContext({ cert, key }) });
  client = connect({ socket: clientEnd, servername: "one.test", ca: authority.pem, ciphers: CIPHER });
  for (const socket of [client, secure]) socket.on("error", () => socket.destroy());
  [secret] = await Promise.all([clientSecret(client), once(client, "secureConnect"), once(secure, "secure")]);
  await vi.waitFor(() => expect(serverEnd.writableLength).toBe(0)); // its tickets have gone
  secure.resume();
  unsent = new UnsentTls({ everyMs: 5, maxBytes: MAX_BYTES });
});

afterEach(() => {
  client.destroy();
  secure.destroy();
});

it("are bounded: whoever lets keys be changed without end, and reads no answer, is cut", async () => {
  serverEnd.takesBytes = false;
  unsent.watch(secure);
  const updates = keyUpdates(secret, 4_000);
  serverEnd.push(updates.subarray(0, 27 * 2_000));
  await vi.waitFor(() => expect(secure).toHaveProperty("_handle.writeQueueSize", expect.toSatisfy(isLarge)));
  expect(secure.destroyed).toBe(false); // of a client that changes keys a thousand times nothing is thought
  serverEnd.push(updates.subarray(27 * 2_000));
  await once(secure, "close");
});

it("are not what a server writes to a client that reads slowly", async () => {
  serverEnd.takesBytes = false;
  unsent.watch(secure);
  secure.write(Buffer.alloc(MAX_BYTES / 2));
  secure.write(Buffer.alloc(64 * MAX_BYTES)); // which waits for the first one
  await new Promise((resolve) => setTimeout(resolve, 50)); // looked at some times
  expect(secure.destroyed).toBe(false);
});

const isLarge = (bytes: number) => bytes > 27 * 1_000 && bytes < MAX_BYTES;
