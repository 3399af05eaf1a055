// Configuration: environment in, frozen typed object out, or all problems at once. Nobody else reads process.env.
import { z } from "zod";

/** Several settings are wrong: the message lists each with its name. */
export class ConfigError extends Error {
  readonly code = "InvalidConfig";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`invalid configuration:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/**
 * Reads the settings of a schema whose keys are names of environment variables. Empty values count as unset.
 * Throws {@link ConfigError} with every problem at once; values are never in the message, since some are secrets.
 */
export function readEnv<Shape extends z.ZodRawShape>(
  shape: Shape,
  env: Readonly<Record<string, string | undefined>>,
): Readonly<z.infer<z.ZodObject<Shape>>> {
  const given = Object.fromEntries(Object.keys(shape).map((name) => [name, env[name] === "" ? undefined : env[name]]));
  const result = z.object(shape).safeParse(given);
  if (!result.success) {
    throw new ConfigError(result.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`));
  }
  return Object.freeze(result.data);
}

/** An absolute path. */
export const absolutePath: z.ZodString = z.string().startsWith("/", "must be an absolute path");

/** A whole number in a range, from text. */
export function intBetween(min: number, max: number): z.ZodCoercedNumber {
  return z.coerce.number().int().min(min).max(max);
}

/** A TCP port, 0 meaning any free one. */
export const port: z.ZodCoercedNumber = intBetween(0, 65_535);
