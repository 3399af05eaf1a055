// What shall lead where, as people write it: [[ADDRESS:]LOCAL:]PORT.
import { InvalidArgumentError } from "commander";

/** A port of this machine, and the one of the sandbox that it leads to. */
export interface ForwardSpec {
  /** Undefined: the loopback. */
  readonly host: string | undefined;
  /** 0: a free one. */
  readonly localPort: number;
  readonly port: number;
}

/** How the command describes one. */
export const FORWARD_HELP =
  "[[ADDRESS:]LOCAL:]PORT, e.g. 8080 (the same here), 15432:5432, 0:22 (a free one here), [::1]:8080:80";

const SPEC = /^(?:(?:(\[[^\]]+\]|[^:[\]]+):)?(\d{1,5}):)?(\d{1,5})$/;

/** Adds one to those given before. */
export function collectForward(text: string, before: readonly ForwardSpec[] | undefined): readonly ForwardSpec[] {
  const [, host, local, target = ""] = SPEC.exec(text) ?? [];
  const port = Number(target);
  const localPort = local === undefined ? port : Number(local);
  if (target === "" || port < 1 || port > 65_535 || localPort > 65_535) {
    throw new InvalidArgumentError(`It must look like ${FORWARD_HELP}.`);
  }
  return [...(before ?? []), { host: host?.replace(/^\[(.*)\]$/, "$1"), localPort, port }];
}
