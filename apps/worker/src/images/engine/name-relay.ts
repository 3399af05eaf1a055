// Names for the engine and for builds: their questions are handed, unread, from the engine's namespace to the resolvers of
// this machine, which no slot can reach. What an answer names is still reached under the slot's policy alone.
import type { ChildProcess } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { start } from "../../system/command.ts";
import { FrameReader, frame } from "./relay-frames.ts";

const MAX_ASKED_AT_ONCE = 128;
const ANSWER_TIMEOUT_MS = 4_000;
const NOBODY = "65534";

/** Listens on port 53 of every address of the namespace. Disposal ends it. */
export async function startNameRelay(netnsPath: string): Promise<AsyncDisposable> {
  const resolvers = resolversIn(await readFile("/etc/resolv.conf", "utf8").catch(() => "")); // none: loopback
  const program = fileURLToPath(new URL(`./name-relay-child${extname(import.meta.filename)}`, import.meta.url));
  // It parses nothing, and may do nothing but listen.
  const identity = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--no-new-privs", "--pdeathsig", "KILL"];
  const one = "+net_bind_service";
  const capabilities = ["--inh-caps", `-all,${one}`, "--ambient-caps", one, "--bounding-set", `-all,${one}`];
  const node = [process.execPath, ...process.execArgv.filter((word) => word.startsWith("--conditions")), program];
  const child = start(["nsenter", `--net=${netnsPath}`, "--", "setpriv", ...identity, ...capabilities, ...node], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const ended = once(child, "exit");
  const stop = new AbortController();
  relay(child, resolvers, stop.signal);
  const isUp = await Promise.race([once(child, "spawn").then(() => true), once(child, "error").then(() => false)]);
  if (!isUp) throw new Error("the relay of names could not be started");
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      child.kill("SIGKILL");
      await ended;
    },
  };
}

function relay(child: ChildProcess, resolvers: readonly string[], signal: AbortSignal): void {
  let asked = 0;
  const reader = new FrameReader((id, question) => {
    if (asked >= MAX_ASKED_AT_ONCE) return; // whoever asks asks again
    asked += 1;
    const settle = (answer: Buffer | undefined) => {
      asked -= 1;
      if (answer !== undefined && !signal.aborted && child.stdin?.writable === true) {
        child.stdin.write(frame(id, answer));
      }
    };
    ask(question, resolvers, signal).then(settle, () => settle(undefined));
  });
  child.stdout?.on("data", (chunk: Buffer) => {
    if (!reader.push(chunk)) child.kill("SIGKILL");
  });
  child.stdin?.on("error", () => stopQuietly(child));
}

function stopQuietly(child: ChildProcess): void {
  child.kill("SIGKILL"); // its pipe broke: it is gone, or as good as gone
}

/** The first answer of the first resolver that gives one. */
async function ask(question: Buffer, resolvers: readonly string[], signal: AbortSignal): Promise<Buffer | undefined> {
  for (const resolver of resolvers) {
    const answer = await askOne(question, resolver, signal);
    if (answer !== undefined || signal.aborted) return answer;
  }
  return undefined;
}

function askOne(question: Buffer, resolver: string, signal: AbortSignal): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIP(resolver) === 6 ? "udp6" : "udp4");
    const settle = (answer: Buffer | undefined) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      socket.close();
      resolve(answer);
    };
    const onAbort = () => settle(undefined);
    const timer = setTimeout(onAbort, ANSWER_TIMEOUT_MS);
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("error", onAbort);
    socket.once("message", (answer) => settle(answer));
    socket.connect(53, resolver, () => socket.send(question));
  });
}

/** The `nameserver` lines. Pure. */
function resolversIn(resolvConf: string): readonly string[] {
  const found = resolvConf
    .split("\n")
    .map((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1])
    .filter((address) => address !== undefined)
    .filter((address) => isIP(address.replace(/%.*$/, "")) !== 0);
  return found.length === 0 ? ["127.0.0.1"] : found.slice(0, 3);
}
