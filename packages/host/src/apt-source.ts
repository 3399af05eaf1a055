// Which Debian mirror this machine uses, read from apt itself; and apt runs with sources and state of our own.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run, runOk } from "./command.ts";
import { HostError, isNoSuchFile } from "./errors.ts";
import type { CureContext } from "./finding.ts";

/** An index that apt has configured. */
export interface IndexTarget {
  readonly origin: string;
  readonly label: string;
  /** "bookworm", "bookworm-security", … */
  readonly codename: string;
  readonly component: string;
  /** May carry a user and password of a private mirror: never printed, and written to files of mode 0600 only. */
  readonly repoUri: string;
  /** `<file>:<number of the stanza or line>`. */
  readonly sourcesEntry: string;
}

/** The Debian archive as this machine reaches it. */
export interface DebianArchive {
  readonly mainUri: string;
  readonly securityUri: string | undefined;
  readonly keyring: string;
}

const FORMAT = ["ORIGIN", "LABEL", "CODENAME", "COMPONENT", "REPO_URI", "SOURCESENTRY"];
const DEBIAN_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Parses `apt-get indextargets --format` with the fields of FORMAT, separated by "|". Pure. */
export function parseIndexTargets(text: string): readonly IndexTarget[] {
  const targets: IndexTarget[] = [];
  for (const line of text.split("\n")) {
    const [origin, label, codename, component, repoUri, sourcesEntry] = line.split("|");
    if (origin === undefined || label === undefined || codename === undefined || component === undefined) continue;
    if (repoUri === undefined || repoUri === "" || sourcesEntry === undefined) continue;
    targets.push({ origin, label, codename, component, repoUri, sourcesEntry });
  }
  return targets;
}

/** The Debian archive among the targets, or undefined where there is none (another distribution). Pure. */
export function chooseArchive(
  targets: readonly IndexTarget[],
): { main: IndexTarget; security?: IndexTarget } | undefined {
  const debian = targets.filter((target) => target.origin === "Debian" && target.component === "main");
  // The plain suite first: "-updates" and "-backports" may be served from elsewhere.
  const main =
    debian.find((target) => target.label === "Debian" && !target.codename.includes("-")) ??
    debian.find((target) => target.label === "Debian");
  if (main === undefined) return undefined;
  const security = debian.find((target) => target.label === "Debian-Security");
  return security === undefined ? { main } : { main, security };
}

/** The keyring file of a stanza of a sources file: `Signed-By:` of deb822, or `[signed-by=…]`. Pure. */
export function signedByOf(sourcesText: string, entry: number): string | undefined {
  const stanzas = sourcesText.split(/\n(?:[ \t]*\n)+/).filter((stanza) => /^Types:/im.test(stanza));
  const field = /^Signed-By:[ \t]*(\/\S+)[ \t]*$/im.exec(stanzas[entry - 1] ?? "");
  if (field?.[1] !== undefined) return field[1];
  const line = sourcesText.split("\n")[entry - 1] ?? "";
  return /^deb\s+\[[^\]]*\bsigned-by=(\/[^\s,\]]+)/i.exec(line)?.[1];
}

/** Throws HostError `Unsupported` where apt knows no Debian archive. */
export async function debianArchive(): Promise<DebianArchive> {
  const format = FORMAT.map((field) => `$(${field})`).join("|");
  const ask = () => runOk("apt-get", ["indextargets", "--format", format, "Created-By: Packages"]);
  let found = chooseArchive(parseIndexTargets((await ask()).stdout));
  if (found === undefined) {
    // Origin and label come from the Release files: a machine that never ran `apt-get update` has none yet.
    await run("apt-get", ["update"], { timeoutMs: 300_000, env: { DEBIAN_FRONTEND: "noninteractive" } });
    found = chooseArchive(parseIndexTargets((await ask()).stdout));
  }
  if (found === undefined) {
    throw new HostError("Unsupported", "apt has no source for the Debian main archive", {
      hint: "use a Debian 12 machine, or put a recent runsc into PATH",
    });
  }
  return {
    mainUri: found.main.repoUri,
    securityUri: found.security?.repoUri,
    keyring: await keyringOf(found.main.sourcesEntry),
  };
}

async function keyringOf(sourcesEntry: string): Promise<string> {
  const [, file, number] = /^(.*):(\d+)$/.exec(sourcesEntry) ?? [];
  if (file === undefined || number === undefined) return DEBIAN_KEYRING;
  try {
    return signedByOf(await readFile(file, "utf8"), Number(number)) ?? DEBIAN_KEYRING;
  } catch (error) {
    if (isNoSuchFile(error)) return DEBIAN_KEYRING;
    throw error;
  }
}

/** One `deb` line. Pure. */
export function debLine(keyring: string, uri: string, suite: string): string {
  return `deb [signed-by=${keyring}] ${uri} ${suite} main\n`;
}

/** A URI without user and password. Pure. */
export function withoutCredentials(uri: string): string {
  return uri.replace(/^([a-z+]+:\/\/)[^/@]*@/i, "$1");
}

/**
 * Downloads one package from a suite into an empty `directory`, by an apt source and state of our own: the user's stay as they are.
 * apt checks the archive's signature and the package's hash. Returns the file's path.
 */
export async function downloadPackage(
  archive: DebianArchive,
  suite: string,
  packageAndVersion: string,
  directory: string,
  context: CureContext,
): Promise<string> {
  await downloadPackages(archive, suite, [packageAndVersion], directory, context);
  return packageFile(directory, packageAndVersion);
}

/** As `downloadPackage`, several at once. */
export async function downloadPackages(
  archive: DebianArchive,
  suite: string,
  packages: readonly string[],
  directory: string,
  context: CureContext,
): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), "sallyport-apt-"));
  try {
    const sources = join(work, "sources.list");
    await writeFile(sources, debLine(archive.keyring, archive.mainUri, suite), { mode: 0o600 });
    await mkdir(join(work, "lists", "partial"), { recursive: true });
    await mkdir(join(work, "cache", "archives", "partial"), { recursive: true });
    const own = [`Dir::Etc::sourcelist=${sources}`, "Dir::Etc::sourceparts=-", "Dir::Etc::preferences=-"];
    own.push(
      "Dir::Etc::preferencesparts=-",
      `Dir::State::lists=${join(work, "lists")}`,
      `Dir::Cache=${join(work, "cache")}`,
    );
    // Root's own account fetches: apt's sandbox user could not write below a 0700 directory.
    own.push("APT::Sandbox::User=root", "APT::Update::Post-Invoke=", "APT::Update::Post-Invoke-Success=");
    const options = own.flatMap((option) => ["-o", option]);
    const common = { signal: context.signal, onLine: context.note, timeoutMs: 300_000, cwd: directory };
    await runOk("apt-get", [...options, "update"], common);
    await runOk("apt-get", [...options, "download", ...packages], common);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The file of a package (`name` or `name=version`) in a directory. */
export async function packageFile(directory: string, packageAndVersion: string): Promise<string> {
  const prefix = `${packageAndVersion.split("=")[0]}_`;
  const name = (await readdir(directory)).find((one) => one.startsWith(prefix) && one.endsWith(".deb"));
  if (name === undefined) throw new HostError("BadDownload", `apt left no package file of ${packageAndVersion}`);
  return join(directory, name);
}
