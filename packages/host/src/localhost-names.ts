// Need: names below localhost lead to this machine. On one machine the connect URLs of sandboxes are such names.
import { run } from "./command.ts";
import { installPackages, missingPackages } from "./debian-packages.ts";
import { HostError } from "./errors.ts";
import type { Finding, Need } from "./finding.ts";

const PACKAGE = "libnss-myhostname";
/** A name as a sandbox has it, and none has this one. */
const NAME = "sb-00000000000000000000000000.localhost";
/** A resolver that does not answer is as good as one that knows nothing. */
const LOOK_UP_TIMEOUT_MS = 3_000;

const WHY =
  "https://SANDBOX.localhost:7443 is where connect tokens count on one machine; SDK, curl and browsers know that such names are the machine's own (RFC 6761), most other programs ask the system";

/** What the system says to such a name. */
export interface LocalhostFacts {
  /** Addresses of the name; none where it is unknown. */
  readonly addresses: readonly string[];
  readonly hasPackage: boolean;
  /** Whether packages can be installed by apt here. */
  readonly hasApt: boolean;
}

/** Need: `*.localhost` resolves. Missing it is a warning: programs that know the rule by themselves do without. */
export function localhostNamesNeed(readFacts: () => Promise<LocalhostFacts> = localhostFacts): Need {
  return { name: "names", probe: async () => judgeLocalhostNames(await readFacts()) };
}

async function localhostFacts(): Promise<LocalhostFacts> {
  const addresses = await lookUp();
  if (addresses.length > 0 && addresses.every(isLoopback)) return { addresses, hasPackage: true, hasApt: true };
  try {
    return { addresses, hasPackage: (await missingPackages([PACKAGE])).length === 0, hasApt: true };
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return { addresses, hasPackage: false, hasApt: false }; // no dpkg here
  }
}

/** As every program does that leaves it to the C library. */
async function lookUp(): Promise<readonly string[]> {
  try {
    const { stdout } = await run("getent", ["ahosts", NAME], { timeoutMs: LOOK_UP_TIMEOUT_MS });
    return parseAhosts(stdout);
  } catch (error) {
    if (error instanceof HostError) return []; // it took too long, or there is no such program
    throw error;
  }
}

/** The addresses of `getent ahosts`, each once. Pure. */
export function parseAhosts(text: string): readonly string[] {
  const addresses = text.split("\n").map((line) => line.split(/\s/)[0] ?? "");
  return [...new Set(addresses.filter((address) => address !== ""))];
}

/** Pure. */
export function judgeLocalhostNames({ addresses, hasPackage, hasApt }: LocalhostFacts): Finding {
  const base = { need: "names", why: WHY } as const;
  if (addresses.length > 0 && addresses.every(isLoopback)) {
    return { ...base, state: "ok", found: `*.localhost is ${addresses.join(", ")}` };
  }
  const wrong = addresses.length === 0 ? "does not resolve" : `resolves to ${addresses.join(", ")}, which is not here`;
  const finding = { ...base, state: "warning", problem: `a name such as ${NAME} ${wrong}` } as const;
  if (hasPackage || !hasApt) {
    const say = 'write "myhostname" behind "files" in the line "hosts:" of /etc/nsswitch.conf';
    return { ...finding, cure: { say: [hasPackage ? say : `install the NSS module myhostname, and ${say}`] } };
  }
  return {
    ...finding,
    optional: true,
    cure: {
      say: [`apt-get update && apt-get install --no-install-recommends ${PACKAGE}`],
      what: `install ${PACKAGE} with apt: *.localhost then is this machine, and no resolver is asked for it`,
      apply: (context) => installPackages([PACKAGE], context),
    },
  };
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}
