// Tells the resolver, which runs beside us, the addresses of the fleet's machines: a file of CIDRs, one a line.
import { rename, writeFile } from "node:fs/promises";
import type { Logger } from "@sallyport/appkit/logger";
import { SerialQueue } from "../network/serial.ts";

/** Replaces the file, which everybody on the machine may read, as a whole: one time after another. */
export class FleetFile {
  readonly #path: string | undefined;
  readonly #logger: Logger;
  readonly #queue = new SerialQueue();

  /** Without a path nobody is told. */
  constructor(path: string | undefined, logger: Logger) {
    this.#path = path;
    this.#logger = logger;
  }

  /** Resolves when it is written, or told in the log why not: the kernel's rules, not the resolver, keep machines apart. */
  async put(cidrs: readonly string[]): Promise<void> {
    const path = this.#path;
    if (path === undefined) return;
    try {
      await this.#queue.run(async () => {
        await writeFile(`${path}.new`, cidrs.map((cidr) => `${cidr}\n`).join(""), { mode: 0o644 });
        await rename(`${path}.new`, path);
      });
    } catch (error) {
      this.#logger.warn({ err: error, path }, "the resolver could not be told the fleet's addresses");
    }
  }
}
