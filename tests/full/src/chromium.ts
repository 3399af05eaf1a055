// Debian's Chromium, without a window, that trusts a platform's certificates as a person's would who ran `sallyport ca trust`.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Browser } from "playwright-core";
import { chromium } from "playwright-core";

const PROGRAM = "/usr/bin/chromium";
/** No user namespaces for root; no calls home. */
const ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"];

/** A browser with a home of its own, in which this authority is trusted; `more` goes to its command line. */
export async function startChromium(
  caPem: string,
  more: readonly string[] = [],
): Promise<AsyncDisposable & { readonly browser: Browser }> {
  const home = await mkdtemp(join(tmpdir(), "chromium-"));
  const forget = () => rm(home, { recursive: true, force: true, maxRetries: 5 });
  try {
    const store = join(home, ".pki/nssdb");
    await mkdir(store, { recursive: true });
    const file = join(home, "ca.pem");
    await writeFile(file, caPem);
    const certutil = (...args: readonly string[]) =>
      promisify(execFile)("/usr/bin/certutil", ["-d", `sql:${store}`, ...args]);
    await certutil("-N", "--empty-password");
    await certutil("-A", "-n", "platform", "-t", "C,,", "-i", file);
    const env = { HOME: home, PATH: "/usr/bin:/bin", TMPDIR: home };
    const browser = await chromium.launch({
      executablePath: PROGRAM,
      args: [...ARGUMENTS, ...more],
      env,
      headless: true,
    });
    return {
      browser,
      async [Symbol.asyncDispose]() {
        await browser.close();
        await forget();
      },
    };
  } catch (error) {
    await forget();
    throw error;
  }
}
