// An app for sandboxes that HTTP and WebSocket clients can meet, and what foreign tools need to reach it.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Python's source: `python3 -c` runs it with the default image, and it listens on port 8080 (see its head). */
export const CONNECT_APP: string = await readFile(new URL("connect_app.py", import.meta.url), "utf8");

/** What a foreign tool has to know. */
export interface Reach extends AsyncDisposable {
  readonly url: string;
  readonly token: string;
  /** File of the certificates to trust. */
  readonly caFile: string;
  /** A folder that lasts as long. */
  readonly folder: string;
}

/** The parts of a connect token, as files and texts. */
export async function reachOf(connectToken: {
  readonly url: string;
  readonly token: string;
  readonly caPem: string | undefined;
}): Promise<Reach> {
  const { url, token, caPem = "" } = connectToken;
  const folder = await mkdtemp(join(tmpdir(), "reach-"));
  const caFile = join(folder, "ca.pem");
  await writeFile(caFile, caPem);
  return { url, token, caFile, folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}
