// Law 25 in a real browser: a page of a sandbox works by its cookie, and a page of a sibling in somebody else's hands gets
// nothing of it.
/// <reference lib="dom" />
import type { ConnectToken } from "@sallyport/sdk";
import { Client, Sandbox } from "@sallyport/sdk";
import { CONNECT_APP } from "@sallyport/testkit/connect-app";
import type { TestPlatform } from "@sallyport/testkit/platform";
import { startPlatform } from "@sallyport/testkit/platform";
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startChromium } from "./chromium.ts";

/** For a page to load, or a request to be answered. */
const PATIENCE_MS = 30_000;

const stack = new AsyncDisposableStack();
let context: BrowserContext;
let victim: ConnectToken;
/** A token of the same sandbox that the attacker holds for himself. */
let rivals: ConnectToken;
/** Of the attacker's own sandbox, in another workspace. */
let sibling: ConnectToken;
let newContext: () => Promise<BrowserContext>;

beforeAll(async () => {
  const platform = stack.use(await startPlatform());
  const [mine, theirs] = [await sandboxOf(platform, "victim"), await sandboxOf(platform, "attacker")];
  victim = await mine.createConnectToken({ userMetadata: "victim" });
  rivals = await mine.createConnectToken({ userMetadata: "rival" });
  sibling = await theirs.createConnectToken({ userMetadata: "attacker" });
  const { browser } = stack.use(await startChromium(victim.caPem ?? ""));
  newContext = async () => {
    const made = await browser.newContext();
    made.setDefaultTimeout(PATIENCE_MS);
    return made;
  };
});

afterAll(async () => {
  await stack.disposeAsync();
});

beforeEach(async () => {
  await context?.close();
  context = await newContext();
});

async function sandboxOf(platform: TestPlatform, name: string): Promise<Sandbox> {
  const { token } = await platform.createWorkspace(name);
  const client = stack.use(new Client({ url: platform.apiUrl, token }));
  return await Sandbox.create(["python3", "-c", CONNECT_APP], { client });
}

const linkOf = ({ token, url }: ConnectToken, path: string, name = "_modal_connect_token") =>
  `${url}${path}?${name}=${token}`;

/** Opens the victim's page as its person does: by the link. */
async function openVictim(): Promise<Page> {
  const page = await context.newPage();
  await page.goto(linkOf(victim, "/page"));
  return page;
}

/** A page of the attacker's, in the same browser. */
async function openAttacker(path = "/page"): Promise<Page> {
  const page = await context.newPage();
  await page.goto(linkOf(sibling, path));
  return page;
}

type Seen = readonly (readonly [method: string, path: string, user: string | null])[];

/** What the victim's app got so far. */
async function seenByVictim(): Promise<Seen> {
  return (await (await victim.fetch("/seen")).json()) as Seen;
}

/** Who the victim's page is to its app, asked by the page itself. */
function whoAmI(page: Page): Promise<string | null> {
  return page.evaluate(async () => ((await (await fetch("/who")).json()) as { user: string | null }).user);
}

describe("a person's page", () => {
  it("opens by a link, loses the token from its address, and works by the cookie", async () => {
    const page = await context.newPage();
    const answers: [status: number, url: string][] = [];
    page.on("response", (response) => answers.push([response.status(), response.url()]));
    await page.goto(linkOf(victim, "/page"));
    expect(page.url()).toBe(`${victim.url}/page`);
    expect(answers[0]).toEqual([303, linkOf(victim, "/page")]);
    expect(answers.slice(1)).toEqual(
      expect.arrayContaining([
        [200, `${victim.url}/page`],
        [200, `${victim.url}/script.js`],
        [200, `${victim.url}/picture.svg`],
      ]),
    );
    expect(await page.evaluate(() => (globalThis as { scriptRan?: boolean }).scriptRan)).toBe(true);
    expect(await page.evaluate(() => [location.href, document.referrer, document.cookie].join())).not.toContain(
      victim.token,
    );
    expect(await whoAmI(page)).toBe('"victim"');
    const cookies = await context.cookies(victim.url);
    expect(cookies.map(({ name, httpOnly, secure, sameSite }) => ({ name, httpOnly, secure, sameSite }))).toEqual(
      expect.arrayContaining([
        { name: "_modal_connect_token", httpOnly: true, secure: true, sameSite: "Lax" },
        { name: "__Host-_modal_connect_token", httpOnly: true, secure: true, sameSite: "Lax" },
      ]),
    );
    expect(JSON.stringify(await seenByVictim())).not.toContain(victim.token);
  });

  it("holds a WebSocket", async () => {
    const page = await openVictim();
    const greeting = await page.evaluate(
      () =>
        new Promise<string>((resolve, reject) => {
          const socket = new WebSocket(`wss://${location.host}/socket`, ["echo"]);
          socket.onmessage = ({ data }: MessageEvent<string>) => {
            if (data === "over") resolve(socket.protocol);
            else socket.send("over");
          };
          socket.onerror = () => reject(new Error("the socket failed"));
        }),
    );
    expect(greeting).toBe("echo");
  });

  it("gets server-sent events as they come", async () => {
    const page = await openVictim();
    const events = await page.evaluate(
      () =>
        new Promise<string[]>((resolve) => {
          const seen: string[] = [];
          const source = new EventSource("/events");
          source.onmessage = async ({ data }: MessageEvent<string>) => {
            seen.push(data);
            if (seen.length === 1) await fetch("/release", { method: "POST" });
            else {
              source.close();
              resolve(seen);
            }
          };
        }),
    );
    expect(events).toEqual(["first", "second"]);
  });
});

describe("a sibling's page in hostile hands", () => {
  it("cannot toss its cookie into the victim's session", async () => {
    const page = await openVictim();
    const attacker = await openAttacker();
    await attacker.evaluate((token) => {
      for (const name of ["_connect_token", "_modal_connect_token", "__Host-_connect_token"]) {
        for (const domain of ["; Domain=localhost", "; Domain=.localhost", ""]) {
          // biome-ignore lint/suspicious/noDocumentCookie: it is the attack.
          document.cookie = `${name}=${token}; Path=/; Secure${domain}`;
        }
      }
    }, rivals.token);
    expect(await whoAmI(page)).toBe('"victim"');
  });

  it("cannot toss one by an answer of its app, nor have the browser forget", async () => {
    const page = await openVictim();
    await openAttacker("/clear");
    expect(await whoAmI(page)).toBe('"victim"');
    expect((await context.cookies(victim.url)).map(({ name }) => name)).toContain("__Host-_modal_connect_token");
  });

  it("wins nothing even where a plain cookie got in: the twin counts", async () => {
    const page = await openVictim();
    await context.addCookies([
      {
        name: "_modal_connect_token",
        value: rivals.token,
        url: victim.url,
        secure: true,
        httpOnly: true,
        sameSite: "Lax",
      },
      { name: "_connect_token", value: rivals.token, url: victim.url, secure: true, httpOnly: true, sameSite: "Lax" },
    ]);
    expect(await whoAmI(page)).toBe('"victim"');
  });

  it("cannot post, fetch, embed, frame or connect in the victim's name", async () => {
    await openVictim();
    const before = (await seenByVictim()).length;
    const attacker = await openAttacker();
    const outcomes = await attacker.evaluate(async (url) => {
      const fetched = async (init: RequestInit) => {
        try {
          const answer = await fetch(`${url}/steal`, { credentials: "include", ...init });
          return answer.type === "opaque" ? "opaque" : String(answer.status);
        } catch {
          return "failed";
        }
      };
      const loaded = (tag: "img" | "script" | "iframe" | "object") =>
        new Promise<string>((resolve) => {
          const element = document.createElement(tag);
          element.onload = () => resolve("loaded");
          element.onerror = () => resolve("failed");
          if (tag === "object") element.setAttribute("data", `${url}/steal-object`);
          else element.setAttribute("src", `${url}/steal-${tag}`);
          document.body.append(element);
        });
      const connected = (protocol: string) =>
        new Promise<string>((resolve) => {
          const socket = new WebSocket(`${url.replace("https:", "wss:")}/socket`, [protocol]);
          socket.onopen = () => resolve("opened");
          socket.onerror = () => resolve("failed");
        });
      return {
        simple: await fetched({ method: "POST", mode: "no-cors", body: "steal" }),
        cors: await fetched({ method: "POST", mode: "cors", body: "steal" }),
        preflighted: await fetched({ method: "PUT", mode: "cors", headers: { "X-Steal": "1" } }),
        get: await fetched({ mode: "no-cors" }),
        socket: await connected("echo"),
        img: await loaded("img"),
        script: await loaded("script"),
        iframe: await loaded("iframe"),
      };
    }, victim.url);
    expect(outcomes).toMatchObject({
      cors: "failed",
      preflighted: "failed",
      socket: "failed",
      img: "failed",
      script: "failed",
    });
    // A form is a navigation of the whole tab: with a method that changes something, the cookie counts for nothing.
    const [refused] = await Promise.all([
      attacker.waitForResponse(`${victim.url}/steal-form`),
      attacker.evaluate((url) => {
        const form = document.createElement("form");
        form.method = "POST";
        form.action = `${url}/steal-form`;
        document.body.append(form);
        // After this call has its answer, which a navigation would take away.
        setTimeout(() => form.submit(), 0);
      }, victim.url),
    ]);
    expect(refused.status()).toBe(401);
    const stolen = (await seenByVictim())
      .slice(before)
      .filter(([, path]) => path.startsWith("/steal") || path === "/socket");
    expect(stolen).toEqual([]);
  });

  it("cannot read what a window shows that it opened", async () => {
    await openVictim();
    const attacker = await openAttacker();
    const read = await attacker.evaluate(async (url) => {
      const opened = window.open(`${url}/who`);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      try {
        return opened?.document.body.textContent ?? "nothing";
      } catch {
        return "refused";
      }
    }, victim.url);
    expect(read).not.toContain("victim");
  });
});
