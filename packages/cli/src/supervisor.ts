// The supervisor of a platform on this machine: HTTP over its control socket.
import { request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { CliError } from "./errors.ts";

/** What `GET /status` answers. */
export interface SupervisorStatus {
  readonly state: "starting" | "ready" | "stopping";
  readonly pid: number;
  readonly apiUrl?: string;
  /** Base URL of the same over HTTP. */
  readonly restUrl?: string;
  readonly children: readonly {
    readonly name: string;
    readonly state: string;
    readonly pid?: number;
    readonly restarts: number;
    /** Of the process before, as long as it lets its connections end. */
    readonly drainingPid?: number;
  }[];
}

const STATUS_TIMEOUT_MS = 5_000;
/** The worker ends its sandboxes within 25 s, or is killed. */
const DOWN_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
/** Of up to 32 processes, one after the other. */
const RESTART_TIMEOUT_MS = 1_000_000;
const POLL_MS = 100;

/** The state of a platform; undefined when no supervisor answers. Throws CliError where we may not ask. */
export async function supervisorStatus(
  socketPath: string,
  signal?: AbortSignal,
): Promise<SupervisorStatus | undefined> {
  try {
    const { status, body } = await ask(socketPath, "GET", "/status", STATUS_TIMEOUT_MS, signal);
    if (status !== 200) throw new CliError("Failed", `the supervisor at ${socketPath} answers with status ${status}`);
    return JSON.parse(body) as SupervisorStatus;
  } catch (error) {
    if (isNobodyThere(error)) return undefined;
    throw readable(error, socketPath);
  }
}

/** Ends every sandbox and the platform, and waits until the supervisor is gone. */
export async function supervisorDown(socketPath: string, signal?: AbortSignal): Promise<void> {
  try {
    const { status, body } = await ask(socketPath, "POST", "/down", DOWN_TIMEOUT_MS, signal);
    if (status >= 400) throw new CliError("Failed", `the platform could not end everything: ${problemOf(body)}`);
  } catch (error) {
    // It may exit in the middle of its answer.
    if (!isNobodyThere(error)) throw readable(error, socketPath);
  }
  const endsAt = performance.now() + STOP_TIMEOUT_MS;
  while ((await supervisorStatus(socketPath, signal)) !== undefined) {
    if (performance.now() > endsAt)
      throw new CliError("Failed", "the supervisor has ended everything, but is still there");
    await delay(POLL_MS, undefined, { signal });
  }
}

/** Replaces an edge's processes without a gap, and answers what runs then. Undefined when no supervisor answers. */
export async function supervisorRestart(
  socketPath: string,
  edge: string,
  signal?: AbortSignal,
): Promise<SupervisorStatus | undefined> {
  try {
    const { status, body } = await ask(socketPath, "POST", `/restart/${edge}`, RESTART_TIMEOUT_MS, signal);
    if (status !== 200) throw new CliError("Failed", problemOf(body));
    return JSON.parse(body) as SupervisorStatus;
  } catch (error) {
    if (isNobodyThere(error)) return undefined;
    throw readable(error, socketPath);
  }
}

function ask(
  socketPath: string,
  method: string,
  path: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<{ status: number; body: string }> {
  const deadline = AbortSignal.timeout(timeoutMs);
  return new Promise((resolve, reject) => {
    const options = {
      socketPath,
      method,
      path,
      signal: signal === undefined ? deadline : AbortSignal.any([deadline, signal]),
    };
    const call = request(options, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      response.on("error", reject);
    });
    call.on("error", reject);
    call.end();
  });
}

function problemOf(body: string): string {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === "object" && value !== null && "error" in value && typeof value.error === "string") {
      return value.error;
    }
  } catch {
    // Shown as it is.
  }
  return body.trim();
}

function isNobodyThere(error: unknown): boolean {
  return ["ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE", "ENOTDIR"].includes(errnoOf(error));
}

function readable(error: unknown, socketPath: string): unknown {
  if (errnoOf(error) !== "EACCES") return error;
  return new CliError("Failed", `${socketPath} is not open to this user`, { hint: "run it as root" });
}

function errnoOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}
