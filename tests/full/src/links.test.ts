// Links with a token in a real browser: an app in hostile hands that wants to get hold of them, and frames of other sites.
/// <reference lib="dom" />
import type { ConnectToken } from "@sallyport/sdk";
import { Client, Sandbox } from "@sallyport/sdk";
import { startPlatform } from "@sallyport/testkit/platform";
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { startChromium } from "./chromium.ts";

/** Each page says its address, as its scripts see it, in its title; `/who` says who is asking. */
const APP = `
import http.server

PAGE = b"<!doctype html><title>none</title><script>document.title = location.href</script>"
WORKER = b"addEventListener('fetch', (event) => {})"
HEADERS = {
    "/stored": {"Cache-Control": "max-age=600", "No-Vary-Search": 'params=("_connect_token" "_modal_connect_token")'},
}

class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.split("?")[0]
        body, kind = PAGE, "text/html"
        if path == "/who":
            body, kind = self.headers.get("X-Verified-User-Data", "null").encode(), "application/json"
        if path.endswith("/sw.js"):
            body, kind = WORKER, "text/javascript"
        self.send_response(200)
        for name, value in {"Service-Worker-Allowed": "/", **HEADERS.get(path, {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("", 8080), App).serve_forever()
`;

const stack = new AsyncDisposableStack();
let context: BrowserContext;
let newContext: () => Promise<BrowserContext>;
let first: ConnectToken;
let second: ConnectToken;
let embeddable: ConnectToken;
let elsewhere: ConnectToken;

beforeAll(async () => {
  const platform = stack.use(await startPlatform());
  const { token } = await platform.createWorkspace("links");
  const client = stack.use(new Client({ url: platform.apiUrl, token }));
  const start = () => Sandbox.create(["python3", "-c", APP], { client });
  const [app, other] = [await start(), await start()];
  first = await app.createConnectToken({ userMetadata: "first" });
  second = await app.createConnectToken({ userMetadata: "second" });
  embeddable = await app.createConnectToken({ userMetadata: "embedded", embed: true });
  elsewhere = await other.createConnectToken();
  const { browser } = stack.use(await startChromium(first.caPem ?? ""));
  newContext = () => browser.newContext();
});

afterAll(async () => {
  await stack.disposeAsync();
});

beforeEach(async () => {
  await context?.close();
  context = await newContext();
});

const linkOf = ({ token, url }: ConnectToken, path: string) => `${url}${path}?_connect_token=${token}`;

async function open(token: ConnectToken, path: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(linkOf(token, path));
  return page;
}

it("a page is shown by a stored answer under no link: its scripts would read the token there", async () => {
  const page = await open(first, "/stored");
  expect(await page.title()).toBe(`${first.url}/stored`);
  await page.goto(linkOf(second, "/stored"));
  expect(await page.title()).toBe(`${first.url}/stored`);
  expect(page.url()).toBe(`${first.url}/stored`);
  expect(await page.evaluate(async () => (await fetch("/who")).text())).toBe('"second"');
});

it("nothing that a page can ask tells it by which link it was opened", async () => {
  const page = await open(first, "/page");
  const told = await page.evaluate(() =>
    JSON.stringify([
      location.href,
      document.URL,
      document.referrer,
      document.cookie,
      performance.getEntries().map((entry) => entry.toJSON() as unknown),
      (globalThis as unknown as { navigation: { entries(): { url: string }[] } }).navigation
        .entries()
        .map(({ url }) => url),
    ]),
  );
  expect(told).toContain("/page");
  expect(told).not.toContain("_token");
});

it("a service worker stands before no link to the root, and works in its folder", async () => {
  const page = await open(first, "/page");
  const outcomes = await page.evaluate(async () => {
    const register = async (script: string, options?: RegistrationOptions) => {
      try {
        return new URL((await navigator.serviceWorker.register(script, options)).scope).pathname;
      } catch (error) {
        return (error as Error).name;
      }
    };
    return {
      root: await register("/sw.js"),
      folder: await register("/app/sw.js"),
      widened: await register("/app/sw.js", { scope: "/" }),
    };
  });
  expect(outcomes.root).toMatch(/Error$/);
  expect(outcomes).toMatchObject({ folder: "/app/", widened: "SecurityError" });
});

it("a frame of another site works with a token that is made for it, and with no other", async () => {
  const parent = await open(elsewhere, "/page");
  const framed = async (link: string) => {
    const frame = parent.waitForEvent("frameattached");
    await parent.evaluate(
      (src) =>
        new Promise<void>((resolve) => {
          const element = document.createElement("iframe");
          element.onload = () => resolve();
          element.src = src;
          document.body.append(element);
        }),
      link,
    );
    return await frame;
  };
  const good = await framed(linkOf(embeddable, "/page"));
  expect(good.url()).toBe(`${embeddable.url}/page`);
  expect(await good.evaluate(async () => (await fetch("/who")).text())).toBe('"embedded"');
  const bad = await framed(linkOf(first, "/page"));
  expect(await bad.content()).toContain("NotEmbeddable");
  // Its cookies are those of this frame on this site: nobody is known by them elsewhere.
  const alone = await context.newPage();
  expect((await alone.goto(`${embeddable.url}/page`))?.status()).toBe(401);
});
