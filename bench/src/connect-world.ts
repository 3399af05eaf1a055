// What every part of the benchmark "connect" needs: an app, tokens, a certificate, names that resolve.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./command.ts";
import type { ConnectApp } from "./connect-app.ts";
import { startApp } from "./connect-app.ts";
import type { ConnectTokens } from "./connect-tokens.ts";
import { makeTokens } from "./connect-tokens.ts";

export interface ConnectWorld extends AsyncDisposable {
  /** Of the benchmark's own; goes with it. */
  readonly directory: string;
  readonly app: ConnectApp;
  readonly tokens: ConnectTokens;
  readonly connectDomain: string;
  /** Of the sandbox under the connect domain. */
  readonly host: string;
  /** ECDSA P-256, as the proxies have them; paths of PEM files. */
  readonly certificate: { readonly certPath: string; readonly keyPath: string; readonly bundlePath: string };
  /** Of an `/etc/hosts` in which the host is 127.0.0.1. */
  readonly hostsPath: string;
}

/** Of two labels: a wildcard right below one is none to OpenSSL. */
const CONNECT_DOMAIN = "bench.localhost";

export async function startConnectWorld(): Promise<ConnectWorld> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "spb-connect-"));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const tokens = await makeTokens();
  const host = `${tokens.sandboxId}.${CONNECT_DOMAIN}`;
  const certificate = await makeCertificate(directory, host);
  const hostsPath = join(directory, "hosts");
  await writeFile(hostsPath, `127.0.0.1 localhost ${host}\n`);
  const app = stack.use(await startApp(directory));
  const running = stack.move();
  return {
    directory,
    app,
    tokens,
    connectDomain: CONNECT_DOMAIN,
    host,
    certificate,
    hostsPath,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function makeCertificate(directory: string, host: string): Promise<ConnectWorld["certificate"]> {
  const keyPath = join(directory, "key.pem");
  const certPath = join(directory, "cert.pem");
  const bundlePath = join(directory, "bundle.pem");
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", keyPath];
  const names = ["-subj", "/CN=bench", "-addext", `subjectAltName=DNS:${host},DNS:*.${CONNECT_DOMAIN}`];
  await run("openssl", ["req", "-x509", ...key, "-out", certPath, "-days", "2", ...names]);
  await writeFile(bundlePath, (await readFile(certPath, "utf8")) + (await readFile(keyPath, "utf8")));
  return { certPath, keyPath, bundlePath };
}
