// A program of its own, as nobody, in the engine's namespace: takes questions for names and hands them to its parent.
import { createSocket } from "node:dgram";
import { FrameReader, frame, MAX_DATAGRAM_BYTES } from "./relay-frames.ts";

const MAX_WAITING = 256;

const socket = createSocket("udp4");
const waiting = new Map<number, { readonly address: string; readonly port: number }>();
let serial = 0;

socket.on("message", (question, { address, port }) => {
  if (question.length > MAX_DATAGRAM_BYTES) return;
  serial = (serial + 1) % 2 ** 32;
  waiting.set(serial, { address, port });
  const [oldest] = waiting.keys();
  if (waiting.size > MAX_WAITING && oldest !== undefined) waiting.delete(oldest);
  process.stdout.write(frame(serial, question));
});
socket.on("error", () => process.exit(1));

const reader = new FrameReader((id, answer) => {
  const asker = waiting.get(id);
  waiting.delete(id);
  if (asker !== undefined) socket.send(answer, asker.port, asker.address);
});
process.stdin.on("data", (chunk: Buffer) => {
  if (!reader.push(chunk)) process.exit(1);
});
process.stdin.on("end", () => process.exit(0));

socket.bind(53, "0.0.0.0");
