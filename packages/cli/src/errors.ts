// Errors as people and programs see them: message, field, hint.
import { escapeLines, escapeText, toJson } from "./output.ts";

/** A failure of the CLI's own, with what would mend it. */
export class CliError extends Error {
  readonly code: "Failed" | "Usage";
  readonly hint: string | undefined;

  constructor(code: "Failed" | "Usage", message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "CliError";
    this.code = code;
    this.hint = options.hint;
  }
}

/** The facts of any error of the house: SDK, apps, host and CLI spell them alike. */
export interface ErrorReport {
  readonly code: string;
  readonly message: string;
  readonly field?: string;
  readonly hint?: string;
  readonly requestId?: string;
  readonly retryable?: boolean;
}

export function reportError(error: unknown): ErrorReport {
  if (!(error instanceof Error)) return { code: "Failed", message: String(error) };
  return {
    code: textOf(error, "code") ?? "Failed",
    message: error.message,
    ...pick(error, "field"),
    ...pick(error, "hint"),
    ...pick(error, "requestId"),
    ...("retryable" in error && typeof error.retryable === "boolean" ? { retryable: error.retryable } : {}),
  };
}

/** `sallyport: message`, then field and hint; or one JSON object. */
export function describeError(error: unknown, json: boolean): string {
  const report = reportError(error);
  if (json) return `${toJson({ error: report })}\n`;
  const rows = [`sallyport: ${escapeLines(report.message)}`];
  if (report.field !== undefined && !report.message.startsWith(report.field)) {
    rows.push(`  field: ${escapeText(report.field)}`);
  }
  if (report.hint !== undefined) rows.push(`  hint: ${escapeLines(report.hint)}`);
  if (report.code === "Internal" && report.requestId !== undefined) {
    rows.push(`  request: ${escapeText(report.requestId)}`);
  }
  return `${rows.join("\n")}\n`;
}

function textOf(error: object, key: string): string | undefined {
  const value: unknown = (error as Record<string, unknown>)[key];
  return typeof value === "string" ? value : undefined;
}

function pick<K extends "field" | "hint" | "requestId">(error: object, key: K): Partial<Record<K, string>> {
  const value = textOf(error, key);
  return value === undefined ? {} : ({ [key]: value } as Partial<Record<K, string>>);
}
