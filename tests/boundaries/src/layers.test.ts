// The layers of docs/architecture.md as a test: imports point down, no app imports an app, some rooms stay pure.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Import } from "./imports.ts";
import { importsOf, packageFolders, ROOT, sourceFiles } from "./imports.ts";

const LAYERS: Readonly<Record<string, number>> = {
  "packages/connect-token": 0,
  "packages/contracts": 0,
  "packages/policy": 0,
  "packages/appkit": 1,
  "packages/dataplane": 1,
  "packages/edge": 1,
  "packages/host": 1,
  "packages/sdk": 2,
  "packages/cli": 3,
};
const APP_LAYER = 3;
const TESTKIT = "packages/testkit";

interface Rule {
  readonly name: string;
  readonly reason: string;
  forbids(one: Import): boolean;
}

const isTest = (file: string) => /\.test\.ts$|\/test\/|vitest\..*config\.ts$/.test(file);
const ours = (specifier: string) => /^@sallyport\/([a-z-]+)/.exec(specifier)?.[1];
const folderOf = (name: string) => packageFolders().find((folder) => folder.endsWith(`/${name}`));
const layerOf = (folder: string) => LAYERS[folder] ?? APP_LAYER;

const CAN_DIAL = /^(node:(dgram|http|http2|https|net|tls)|undici|ws)$/;
/** Of these modules: what looks at addresses, knows names, listens, or works on connections that are there. */
const DIALS_NOTHING = new Set([
  "BlockList",
  "STATUS_CODES",
  "TLSSocket",
  "constants",
  "createSecureContext",
  "createServer",
  "isIP",
  "isIPv6",
  "performServerHandshake",
]);

const RULES: readonly Rule[] = [
  {
    name: "imports point down",
    reason: "a lower layer that knows a higher one can no longer be used, tested or published without it",
    forbids({ file, home, specifier }) {
      const target = folderOf(ours(specifier) ?? "");
      if (target === undefined || target === home || isTest(file) || home === TESTKIT) return false;
      return (
        layerOf(target) > layerOf(home) ||
        (layerOf(target) === layerOf(home) && layerOf(home) !== 0 && target.startsWith("apps/"))
      );
    },
  },
  {
    name: "no app imports an app",
    reason: "apps are processes with users of their own; what two of them share is a contract or a package",
    forbids: ({ home, specifier }) =>
      home.startsWith("apps/") && folderOf(ours(specifier) ?? "")?.startsWith("apps/") === true,
  },
  {
    name: "only tests import testkit",
    reason: "testkit starts hostile peers and whole platforms; none of it belongs into a shipped program",
    forbids: ({ file, home, specifier }) =>
      specifier.startsWith("@sallyport/testkit") && !isTest(file) && home !== TESTKIT,
  },
  {
    name: "the SDK stands on contracts and policy alone",
    reason: "users install it: whatever it imports becomes their dependency",
    forbids: ({ file, home, specifier }) =>
      home === "packages/sdk" && !isTest(file) && !["contracts", "policy", undefined].includes(ours(specifier)),
  },
  {
    name: "policy does no I/O",
    reason: "the security decision is data, exhaustively testable and usable in a browser",
    forbids: ({ file, home, specifier }) =>
      home === "packages/policy" && !isTest(file) && specifier.startsWith("node:"),
  },
  {
    name: "connect-token does no I/O",
    reason: "whether a token is good is decided from arguments alone, so that every case can be tried",
    forbids: ({ file, home, specifier }) =>
      home === "packages/connect-token" && !isTest(file) && specifier.startsWith("node:"),
  },
  {
    name: "only the api mints connect tokens",
    reason: "a proxy that faces strangers verifies; it has no way to issue",
    forbids: ({ file, home, specifier }) =>
      specifier === "@sallyport/connect-token/issue" && home !== "apps/api" && !isTest(file),
  },
  {
    name: "only the api opens PostgreSQL",
    reason: "one process writes the truth; everybody else asks it",
    forbids: ({ file, home, specifier }) =>
      ["pg", "kysely"].includes(specifier) && !["apps/api", TESTKIT].includes(home) && !isTest(file),
  },
  {
    name: "the worker's one spawn site",
    reason: "the privileged process starts programs in one file, so that a review for injected commands reads one file",
    forbids: ({ file, home, specifier, typeOnly }) =>
      home === "apps/worker" &&
      specifier === "node:child_process" &&
      !typeOnly &&
      !isTest(file) &&
      file !== "apps/worker/src/system/command.ts",
  },
  {
    name: "what faces strangers dials nothing",
    reason: "whoever breaks into it finds one way into sandboxes, the gateway's door (openPort)",
    forbids: ({ file, home, names, specifier, typeOnly }) =>
      ["apps/connect-proxy", "apps/tunnel-edge", "packages/edge"].includes(home) &&
      CAN_DIAL.test(specifier) &&
      !typeOnly &&
      !isTest(file) &&
      names.some((name) => !DIALS_NOTHING.has(name)) &&
      // Asks whether somebody answers at a path where this process is about to listen.
      file !== "packages/edge/src/own-socket.ts" &&
      // Hands connections over to the connect-proxy, at sockets that the operator names.
      file !== "apps/tunnel-edge/src/hand-over.ts",
  },
  {
    name: "no reaching into another package",
    reason: "the exports map is the wall; a deep import makes every file public",
    forbids: ({ specifier }) =>
      /^@sallyport\/[a-z-]+\/(src|dist)\//.test(specifier) || /\.\.\/(packages|apps)\//.test(specifier),
  },
  {
    name: "generated code is met in contracts alone",
    reason: "a renamed message then breaks one index, not every file",
    forbids: ({ home, specifier }) => home !== "packages/contracts" && specifier.includes("/gen/"),
  },
];

const ALL = packageFolders().flatMap((folder) => importsOf(folder));

describe("boundaries", () => {
  it.each(RULES)("$name", (rule) => {
    const broken = ALL.filter((one) => rule.forbids(one)).map((one) => `${one.file} imports ${one.specifier}`);
    expect(broken, rule.reason).toEqual([]);
  });

  it("finds the imports that it judges", () => {
    expect(ALL.length).toBeGreaterThan(100);
    expect(ALL.some((one) => one.specifier === "@sallyport/contracts")).toBe(true);
    const named = (file: string, specifier: string) =>
      ALL.find((one) => one.file === file && one.specifier === specifier && !one.typeOnly)?.names;
    expect(named("packages/edge/src/own-socket.ts", "node:net")).toEqual(["connect"]);
    expect(named("packages/edge/src/peers.ts", "node:net")).toEqual(["BlockList", "isIP"]);
  });

  it("every package has a place in the layers", () => {
    const unplaced = packageFolders().filter(
      (folder) => folder.startsWith("packages/") && LAYERS[folder] === undefined,
    );
    expect(unplaced).toEqual([TESTKIT]);
  });
});

describe("house rules", () => {
  const files = ["packages", "apps", "tests", "examples", "bench"].flatMap(sourceFiles);
  const handwritten = files.filter((file) => !file.includes("/gen/"));
  const lines = (file: string) => readFileSync(join(ROOT, file), "utf8").split("\n").length - 1;

  it("no source file is longer than 400 lines, no test than 600", () => {
    expect(handwritten.filter((file) => lines(file) > (isTest(file) ? 600 : 400))).toEqual([]);
  });

  it("every source file begins with its reason to exist", () => {
    const wordless = handwritten.filter((file) => {
      if (isTest(file) || file.endsWith("config.ts")) return false;
      return !/^(#!.*\n)?(\/\/|\/\*)/.test(readFileSync(join(ROOT, file), "utf8"));
    });
    expect(wordless).toEqual([]);
  });

  it("process.env is read in doorways and configuration only", () => {
    const readers = handwritten.filter((file) => {
      if (isTest(file) || !/^(apps|packages)\//.test(file) || file.startsWith(TESTKIT)) return false;
      return /process\.env/.test(readFileSync(join(ROOT, file), "utf8").replace(/^\s*(\/\/|\*).*$/gm, ""));
    });
    // packages/host looks programs up in PATH: that is what it is for.
    const allowed = /^packages\/host\/|\/(main|config|profile)\.ts$/;
    expect(readers.filter((file) => !allowed.test(file))).toEqual([]);
  });
});
