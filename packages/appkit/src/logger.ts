// Structured logs: a constant message, data as fields, one line of JSON each. Redaction happens here, at the sink.
import type { DestinationStream, Logger as PinoLogger } from "pino";
import { pino } from "pino";

/** What a module needs of a logger. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): Logger;
}

const REDACTED_KEYS = ["authorization", "token", "secret", "initSecret", "password", "env", "argv", "command"];
const REDACTED_PATHS = REDACTED_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]);

/** A logger for a process. Level from `level` ("info"); the process's name is on every line. */
export function createLogger(name: string, level = "info", destination?: DestinationStream): Logger {
  const options = {
    name,
    level,
    base: { pid: process.pid },
    redact: { paths: REDACTED_PATHS, censor: "[redacted]" },
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  const logger: PinoLogger = destination === undefined ? pino(options) : pino(options, destination);
  return logger;
}

/** Says nothing. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child() {
    return silentLogger;
  },
};
