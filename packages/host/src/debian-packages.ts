// Need: the Debian packages that Sallyport calls or compiles against.
import { run, runOk } from "./command.ts";
import { HostError } from "./errors.ts";
import type { CureContext, Finding, Need } from "./finding.ts";

/** Each package, and what for. */
const DEBIAN_PACKAGES: Readonly<Record<string, string>> = {
  "ca-certificates": "trust in package mirrors",
  conmon: "keeps a sandbox's exit status while the worker restarts",
  e2fsprogs: "makes the file system that bounds a sandbox's disk",
  gcc: "compiles init, the first process of every sandbox",
  iproute2: "makes network namespaces and links",
  "libc6-dev": "compiles init",
  "libnftables-dev": "compiles the helper that talks nftables in one session",
  make: "compiles init",
  mmdebstrap: "makes the default image from Debian packages",
  mount: "mounts a sandbox's disk while it is made",
  nftables: "holds every sandbox's network policy",
  "util-linux": "private mount namespaces, locks",
};

/** What the tests alone call, and what for. */
const TEST_PACKAGES: Readonly<Record<string, string>> = {
  conntrack: "lists the connections that the kernel tracks",
  curl: "HTTP as people type it, for a test of connect tokens",
  iptables: "the machine's rules as Docker and people write them, for a test that they open no sandbox",
  "libnss3-tools": "has browsers trust a platform's certificates",
  "nghttp2-client": "HTTP/2 as other programs speak it, for a test of tunnels",
  openssl: "TLS as people try it, for a test of tunnels",
  python3: "a program of a user's who has no SDK, for a test of REST",
  "python3-requests": "HTTP as Python programs speak it, for the same test",
  "python3-websockets": "WebSocket as Python programs speak it, for a test of connect tokens",
};

/** What the second lane calls besides, and what for. */
const FULL_TEST_PACKAGES: Readonly<Record<string, string>> = {
  chromium: "a browser, for the tests of what pages of sandboxes can do to each other",
  "openssh-client": "a session of ssh, for a test of tunnels",
  "redis-tools": "a database's client, for a test of tunnels",
  sslscan: "looks for weak TLS, for a test of tunnels",
  "testssl.sh": "looks for known faults of TLS, for the same test",
};

/** What the machine is set up for: to run the platform, its tests, or also those that take a browser. */
export type SetupPurpose = "use" | "tests" | "full-tests";

const PACKAGES: Readonly<Record<SetupPurpose, Readonly<Record<string, string>>>> = {
  use: DEBIAN_PACKAGES,
  tests: { ...DEBIAN_PACKAGES, ...TEST_PACKAGES },
  "full-tests": { ...DEBIAN_PACKAGES, ...TEST_PACKAGES, ...FULL_TEST_PACKAGES },
};

const WHY =
  "conmon, nftables and iproute2 run sandboxes and their network; a compiler builds init; mmdebstrap makes the default image";
const INSTALL_TIMEOUT_MS = 15 * 60_000;
const APT_ENV = { DEBIAN_FRONTEND: "noninteractive", NEEDRESTART_MODE: "l", LC_ALL: "C.UTF-8" };
/** Another apt (unattended upgrades) may be at work: wait for it. */
const APT_OPTIONS = ["-o", "DPkg::Lock::Timeout=180", "-o", "APT::Get::Assume-Yes=true", "-o", "Dpkg::Use-Pty=0"];

/** Names of the installed packages, from dpkg-query's `${Package} ${db:Status-Status}` lines. Pure. */
export function installedPackages(dpkgOutput: string): ReadonlySet<string> {
  const installed = new Set<string>();
  for (const line of dpkgOutput.split("\n")) {
    const [name, status] = line.trim().split(" ");
    if (name !== undefined && status === "installed") installed.add(name);
  }
  return installed;
}

/** Names of all packages that are needed. */
export function packageNames(purpose: SetupPurpose): readonly string[] {
  return Object.keys(PACKAGES[purpose]);
}

/** Need: these packages are installed. */
export function packagesNeed(names: readonly string[] = packageNames("use")): Need {
  const probe = async (): Promise<Finding> => {
    const missing = await missingPackages(names);
    if (missing.length === 0) return { need: "packages", state: "ok", why: WHY, found: names.join(", ") };
    return {
      need: "packages",
      state: "missing",
      why: WHY,
      problem: `not installed: ${missing.map((name) => `${name} (${PACKAGES["full-tests"][name] ?? "needed"})`).join(", ")}`,
      cure: {
        say: [`apt-get update && apt-get install --no-install-recommends ${missing.join(" ")}`],
        what: `install ${missing.join(", ")} with apt`,
        apply: (context) => installPackages(missing, context),
      },
    };
  };
  return { name: "packages", probe };
}

/** Those of them that are not wholly installed. */
export async function missingPackages(names: readonly string[]): Promise<string[]> {
  // Ends with status 1 where a name is unknown to dpkg: that is an answer, too.
  const query = await run("dpkg-query", ["--show", "--showformat", `\${Package} \${db:Status-Status}\\n`, ...names], {
    env: { LC_ALL: "C" },
  });
  if (query.exitCode > 1) throw new HostError("CommandFailed", `dpkg-query: ${query.stderr.trim()}`);
  const installed = installedPackages(query.stdout);
  return names.filter((name) => !installed.has(name));
}

/** Installs them with apt. */
export async function installPackages(names: readonly string[], context: CureContext): Promise<void> {
  const options = { env: APT_ENV, timeoutMs: INSTALL_TIMEOUT_MS, signal: context.signal, onLine: context.note };
  const args = [...APT_OPTIONS, "install", "--no-install-recommends", ...names];
  const first = await run("apt-get", args, options);
  if (first.exitCode === 0) return;
  // Package lists that are missing, or so old that the mirror has moved on.
  context.note("reading the package lists anew");
  await runOk("apt-get", [...APT_OPTIONS, "update"], options);
  await runOk("apt-get", args, options);
}
