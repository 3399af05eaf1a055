// The app of docs/connect-tokens.md, as it stands there, verifies what this proxy's keys assert, and nothing else.
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "@sallyport/appkit/clock";
import type { ConnectGrant } from "@sallyport/connect-token/verify";
import { afterAll, beforeAll, expect, it } from "vitest";
import { AssertionKeys } from "../src/assertion-keys.ts";
import { ISSUER, OTHER, SANDBOX, WORKSPACE } from "./rules/place.ts";

const PAGE = join(import.meta.dirname, "../../../docs/connect-tokens.md");
const REPORTS = join(import.meta.dirname, "../reports");

const stack = new AsyncDisposableStack();
let url: string;
let keys: AssertionKeys;

/** The example with its paths and port led here. */
async function example(directory: string): Promise<string> {
  const [, code = ""] = /```ts\n(\/\/ In the sandbox\.[\s\S]*?)```/.exec(await readFile(PAGE, "utf8")) ?? [];
  const led = code
    .replace('"/etc/hostname"', JSON.stringify(join(directory, "hostname")))
    .replaceAll('"/srv/', `"${directory}/`)
    .replace(
      'server.listen(8080, "0.0.0.0");',
      'server.listen(0, "127.0.0.1", () => process.send?.(server.address()));',
    );
  expect(led).not.toMatch(/"\/srv|"\/etc|listen\(8080/);
  return led;
}

beforeAll(async () => {
  await mkdir(REPORTS, { recursive: true });
  const directory = await mkdtemp(join(REPORTS, "app-example-"));
  stack.defer(() => rm(directory, { recursive: true }));
  const published: unknown[] = [];
  const first = Promise.withResolvers<undefined>();
  keys = stack.use(
    await AssertionKeys.start({
      directory,
      issuer: ISSUER,
      clock: systemClock,
      publish: async (jwk) => {
        published.push(JSON.parse(jwk));
        if (published.length === 2) first.resolve(undefined);
      },
      onProblem: (error) => first.reject(error),
    }),
  );
  await first.promise;
  await writeFile(join(directory, "hostname"), `${SANDBOX}\n`);
  await writeFile(join(directory, "issuer"), ISSUER);
  await writeFile(join(directory, "keys.json"), JSON.stringify({ keys: published }));
  await writeFile(join(directory, "app.ts"), await example(directory));
  const app = fork(join(directory, "app.ts"), { execArgv: ["--conditions=@sallyport/source"] });
  stack.defer(async () => {
    app.kill();
    if (app.exitCode === null && app.signalCode === null) await once(app, "exit");
  });
  const [address] = (await once(app, "message")) as [{ port: number }];
  url = `http://127.0.0.1:${address.port}/`;
});

afterAll(() => stack.disposeAsync());

const grant = (changes: Partial<ConnectGrant> = {}): ConnectGrant => ({
  id: "ct-1",
  sandboxId: SANDBOX,
  workspaceId: WORKSPACE,
  port: 8080,
  userData: '{"user_id":"foo"}',
  epoch: 0,
  embed: false,
  issuedAtMs: Date.now(),
  expiresAtMs: Date.now() + 3_600_000,
  keyId: "",
  ...changes,
});

async function ask(assertion: string | undefined): Promise<[status: number, text: string]> {
  const headers = assertion === undefined ? {} : { "X-Verified-User-Assertion": assertion };
  const response = await fetch(url, { headers: { ...headers, "X-Verified-User-Data": '"root"' } });
  return [response.status, await response.text()];
}

it("greets who comes through the proxy", async () => {
  expect(await ask(await keys.assertionFor(grant()))).toEqual([200, 'Hello {"user_id":"foo"}']);
  expect(await ask(await keys.assertionFor(grant({ userData: undefined })))).toEqual([200, "Hello undefined"]);
});

it("refuses everybody else", async () => {
  const good = (await keys.assertionFor(grant())) ?? "";
  expect(good.length).toBeGreaterThan(100);
  for (const assertion of [
    undefined,
    "",
    "x",
    good.slice(0, -2),
    `${good}=`,
    `${good}, ${good}`,
    await keys.assertionFor(grant({ sandboxId: OTHER })),
    await keys.assertionFor(grant({ port: 3000 })),
  ]) {
    expect(await ask(assertion)).toEqual([401, ""]);
  }
});
