// Judges what a create asks for, field by field, before anything is written. The policy waits for the workspace's grants.
import { createHash } from "node:crypto";
import { invalidArgument } from "@sallyport/appkit/errors";
import type { DeclaredPort } from "../domain/declared-port.ts";
import {
  CPU_MILLIS,
  DEFAULT_APP_NAME,
  DEFAULT_IMAGE_NAME,
  DISK_MIB,
  IDLE_TIMEOUT_MS,
  LIFETIME_MS,
  MAX_ARGUMENTS,
  MAX_IDEMPOTENCY_KEY_CHARACTERS,
  MAX_TEXT_BYTES,
  MAX_WORKDIR_BYTES,
  MEMORY_MIB,
  PTY_CELLS,
  SLEEP_AFTER_MS,
} from "../domain/limits.ts";
import { characterCount, hasControlCharacters, isEnvName, isImageName, quotedName } from "../domain/names.ts";
import type { CreateSandboxInput, InstanceSpec, PtySize } from "../domain/sandbox.ts";
import { checkLabel, checkNumber, checkOptional, checkTags, checkWait } from "./check.ts";
import { checkInbound, checkPorts } from "./check-ports.ts";
import { assertMode } from "./network-policy.ts";
import { checkDns } from "./resolvers.ts";

/** A create whose every field but the policy is good, defaults filled in. */
export interface CheckedCreate {
  readonly idempotencyKey: string;
  readonly requestHash: Buffer;
  readonly appName: string;
  readonly image: string;
  readonly network: unknown;
  readonly name: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  readonly spec: Omit<InstanceSpec, "imageDigest" | "pids" | "network" | "uid" | "gid" | "workdir">;
  readonly ports: readonly DeclaredPort[];
  /** CIDRs of those who may come; undefined for everybody. */
  readonly inbound: readonly string[] | undefined;
  /** The image's when undefined. */
  readonly workdir: string | undefined;
  readonly waitMs: number;
}

/** Throws InvalidArgument for the first field at fault. */
export function checkCreate(input: CreateSandboxInput): CheckedCreate {
  const command = input.command === undefined ? undefined : checkCommand(input.command);
  assertMode(input.network);
  return {
    idempotencyKey: checkKey(input.idempotencyKey),
    requestHash: hashOf(input),
    appName: checkLabel("app_name", input.appName ?? DEFAULT_APP_NAME),
    image: checkImage(input.image ?? DEFAULT_IMAGE_NAME),
    network: input.network,
    name: input.name === undefined ? undefined : checkLabel("name", input.name),
    tags: checkTags(input.tags),
    workdir: input.workdir === undefined ? undefined : checkWorkdir(input.workdir),
    spec: {
      command,
      env: checkEnv(input.env),
      lifetimeMs: checkNumber("lifetime_ms", input.lifetimeMs, LIFETIME_MS),
      cpuMillis: checkNumber("cpu_millis", input.cpuMillis, CPU_MILLIS),
      memoryMiB: checkNumber("memory_mib", input.memoryMiB, MEMORY_MIB),
      diskMiB: checkNumber("disk_mib", input.diskMiB, DISK_MIB),
      idleTimeoutMs: checkOptional("idle_timeout_ms", input.idleTimeoutMs, IDLE_TIMEOUT_MS),
      sleepAfterMs: checkOptional("sleep_after_ms", input.sleepAfterMs, SLEEP_AFTER_MS),
      pty: input.pty === undefined ? undefined : checkPty(input.pty, command),
      dns: checkDns(input.dns),
    },
    ports: checkPorts(input),
    inbound: checkInbound(input.inbound),
    waitMs: checkWait(input.waitMs),
  };
}

function checkKey(key: string): string {
  const characters = characterCount(key);
  if (characters < 1 || characters > MAX_IDEMPOTENCY_KEY_CHARACTERS) {
    throw invalidArgument("idempotency_key", `must have 1 to ${MAX_IDEMPOTENCY_KEY_CHARACTERS} characters`);
  }
  if (hasControlCharacters(key)) throw invalidArgument("idempotency_key", "must hold no control character");
  return key;
}

function checkImage(image: string): string {
  if (isImageName(image)) return image;
  throw invalidArgument("image", "is no name of an image");
}

function checkCommand(command: readonly string[]): readonly string[] {
  if (command.length === 0) {
    throw invalidArgument("command", "must have at least one argument", "leave it out for a sandbox without a command");
  }
  if (command.length > MAX_ARGUMENTS) throw invalidArgument("command", `must have at most ${MAX_ARGUMENTS} arguments`);
  command.forEach((argument, index) => {
    checkNoNul(`command[${index}]`, argument);
  });
  if (command[0] === "") throw invalidArgument("command[0]", "must name a program");
  checkTotal("command", command);
  return command;
}

function checkEnv(env: ReadonlyMap<string, string>): [string, string][] {
  const pairs = [...env].toSorted(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, value] of pairs) {
    const field = `env.${quotedName(name)}`;
    if (!isEnvName(name)) throw invalidArgument(field, "names must match [A-Za-z_][A-Za-z0-9_]*");
    checkNoNul(field, value);
  }
  checkTotal(
    "env",
    pairs.map(([name, value]) => `${name}=${value}`),
  );
  return pairs;
}

function checkWorkdir(workdir: string): string {
  if (!workdir.startsWith("/")) throw invalidArgument("workdir", "must be an absolute path");
  if (Buffer.byteLength(workdir) > MAX_WORKDIR_BYTES) {
    throw invalidArgument("workdir", `must have at most ${MAX_WORKDIR_BYTES} bytes`);
  }
  checkNoNul("workdir", workdir);
  return workdir;
}

function checkPty(pty: PtySize, command: readonly string[] | undefined): PtySize {
  if (command === undefined) throw invalidArgument("pty", "is for a command, and there is none");
  for (const [field, cells] of [
    ["pty.columns", pty.columns],
    ["pty.rows", pty.rows],
  ] as const) {
    checkNumber(field, cells, { ...PTY_CELLS, unset: 0 });
  }
  return pty;
}

function checkNoNul(field: string, text: string): void {
  if (text.includes("\0")) throw invalidArgument(field, "must hold no NUL");
}

/** As the kernel counts: each text with the NUL that ends it. */
function checkTotal(field: string, texts: readonly string[]): void {
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0);
  if (bytes > MAX_TEXT_BYTES) throw invalidArgument(field, `must have at most ${MAX_TEXT_BYTES} bytes in all`);
}

/** Of the content as it was asked for: how long to wait is not part of it. */
function hashOf(input: CreateSandboxInput): Buffer {
  const env = [...input.env].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const { appName, image, command, workdir, lifetimeMs, cpuMillis, memoryMiB, network, pty } = input;
  const sized = [lifetimeMs, cpuMillis, memoryMiB, pty?.columns, pty?.rows].map((number) => number ?? null);
  const content = [appName ?? null, image ?? null, command ?? null, env, workdir ?? null, sized, network ?? null];
  const { name, idleTimeoutMs, sleepAfterMs, diskMiB } = input;
  const tags = [...input.tags].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const late = [name, idleTimeoutMs, sleepAfterMs, diskMiB].map((value) => value ?? null);
  // Releases before knew none of these: without them, a retry across the upgrade finds its own key.
  const isLate = tags.length > 0 || late.some((value) => value !== null);
  const known = isLate ? [...content, late, tags] : content;
  const { dns, encryptedPorts, h2Ports, unencryptedPorts, proxyProtocolPorts, inbound } = input;
  const withDns = dns.length > 0 ? [...known, { dns }] : known;
  const lists = { encryptedPorts, h2Ports, unencryptedPorts, proxyProtocolPorts };
  const isReachable = inbound !== undefined || Object.values(lists).some((list) => list.length > 0);
  return createHash("sha256")
    .update(JSON.stringify(isReachable ? [...withDns, { ...lists, inbound: inbound ?? null }] : withDns))
    .digest();
}
