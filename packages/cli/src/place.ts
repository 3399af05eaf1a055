// Paths within a sandbox as they are written on a command line.
import { CliError } from "./errors.ts";

/** A path within a sandbox. */
export interface Place {
  readonly id: string;
  readonly path: string;
}

/** `SANDBOX:PATH`; undefined for a local path. A local name with a colon in it is written with "./" before it. */
export function parsePlace(text: string): Place | undefined {
  const [, id = "", path = ""] = /^(sb-[0-9a-z]+):(.*)$/s.exec(text) ?? [];
  if (id === "") return undefined;
  if (!path.startsWith("/")) throw new CliError("Usage", `${text}: the path is not absolute`);
  return { id, path };
}
