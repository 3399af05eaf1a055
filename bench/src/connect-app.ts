// The app behind every proxy of the benchmark "connect".
import { join } from "node:path";
import { freePorts } from "@sallyport/testkit/platform";
import { compile, startNative } from "./native.ts";

export interface ConnectApp extends AsyncDisposable {
  /** Of its Unix socket. There it answers CONNECT as a gateway's door does, too. */
  readonly socketPath: string;
  readonly port: number;
}

/** Compiles it into a directory; a static one runs in any sandbox. Answers the program's path. */
export function compileApp(directory: string, options: { isStatic: boolean }): Promise<string> {
  return compile("connect-app.c", directory, options);
}

/** Serves until it is disposed of. The directory is the caller's. */
export async function startApp(directory: string): Promise<ConnectApp> {
  const program = await compileApp(directory, { isStatic: false });
  const socketPath = join(directory, "app.sock");
  const [port] = await freePorts();
  return { socketPath, port, ...(await startNative([program, "serve", socketPath, String(port)])) };
}
