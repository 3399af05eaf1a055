// Trust in a platform's own certificate authority, on this machine: the system's store, and the stores of browsers, which
// do not look there. Only an authority that can vouch for its own names and no others is taken up.
import { access, constants, mkdir, readdir, rm } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { isThere, replaceFile } from "./atomic.ts";
import type { BoundAuthority } from "./bound-authority.ts";
import { runOk } from "./command.ts";
import { isNoSuchFile, messageOf } from "./errors.ts";

/** Whose browsers, and where the system's store is. */
export interface TrustOptions {
  readonly isRoot: boolean;
  /** Home of the user whose browsers shall trust it. */
  readonly userHome: string;
  /** Name of that user, where it is another than this process's. */
  readonly runAs?: string | undefined;
  readonly path: string;
  readonly signal?: AbortSignal | undefined;
  /** Where the system takes certificates from, and where its store is; Debian's places when unset. */
  readonly systemStore?: { readonly from: string; readonly to: string };
}

/** What was done at one place. */
export interface TrustStep {
  readonly place: string;
  readonly state: "done" | "skipped" | "failed";
  /** In words, why or for whom. */
  readonly note: string;
  /** A command a person may type. */
  readonly cure?: string;
}

const SYSTEM_STORE = { from: "/usr/local/share/ca-certificates", to: "/etc/ssl/certs" };
const FILE_NAME = /^sallyport-[0-9a-f]{16}\.crt$/;
const NICKNAME = "Sallyport local authority";
/** Where browsers on Linux keep a store, below the home of their user: one each, or one in every profile. */
const STORES = [".pki/nssdb", "snap/chromium/current/.pki/nssdb"];
const PROFILE_FOLDERS = [".mozilla/firefox", ".config/mozilla/firefox", "snap/firefox/common/.mozilla/firefox"];
/** They make their store at their first start; for them it is made ahead. */
const STORELESS_BROWSERS = ["chromium", "google-chrome", "google-chrome-stable", "brave-browser", "microsoft-edge"];

/** Has system and browsers trust it. Idempotent. */
export async function trustAuthority(
  { certificatePem, fingerprint }: BoundAuthority,
  options: TrustOptions,
): Promise<readonly TrustStep[]> {
  const id = fingerprint.slice(0, 16);
  const system = await inSystemStore(options, [], async (folder) => {
    await mkdir(folder, { recursive: true });
    await replaceFile(join(folder, `sallyport-${id}.crt`), certificatePem);
  });
  const browsers = await inBrowserStores(options, true, async (store) => {
    const args = ["-A", "-a", "-d", `sql:${store}`, "-n", `${NICKNAME} ${id}`, "-t", "C,,"];
    await certutil(args, { ...options, input: certificatePem });
    return "the browser's store";
  });
  return [system, ...browsers];
}

/** Takes every authority of a Sallyport platform out again, whichever put it there. Idempotent. */
export async function untrustAuthorities(options: TrustOptions): Promise<readonly TrustStep[]> {
  // Fresh, since it would keep the links to what has been taken away.
  const system = await inSystemStore(options, ["--fresh"], async (folder) => {
    for (const name of await filesIn(folder)) if (FILE_NAME.test(name)) await rm(join(folder, name));
  });
  const browsers = await inBrowserStores(options, false, async (store) => {
    const { stdout } = await certutil(["-L", "-d", `sql:${store}`], options);
    const names = nicknamesIn(stdout);
    for (const name of names) await certutil(["-D", "-d", `sql:${store}`, "-n", name], options);
    return names.length === 0 ? "it had none" : "the browser's store";
  });
  return [system, ...browsers];
}

/** The home of a user of this machine. Throws HostError `CommandFailed` where there is no such user. */
export async function homeOfUser(name: string): Promise<string> {
  const { stdout } = await runOk("getent", ["passwd", "--", name]);
  return stdout.split(":")[5] ?? "";
}

/** Our entries in the list that `certutil -L` prints. Pure. */
export function nicknamesIn(list: string): readonly string[] {
  const lines = list.split("\n").map((line) => line.replace(/\s+\S*,\S*,\S*\s*$/, ""));
  return lines.filter((line) => new RegExp(`^${NICKNAME} [0-9a-f]{16}$`).test(line));
}

async function inSystemStore(
  options: TrustOptions,
  args: readonly string[],
  change: (folder: string) => Promise<void>,
): Promise<TrustStep> {
  const { isRoot, signal, systemStore: { from, to } = SYSTEM_STORE } = options;
  const note = "the system's store, for curl, Python and the like";
  if (!isRoot) {
    return { place: from, state: "skipped", note: `${note}: only root can change it`, cure: "the same with sudo" };
  }
  try {
    await change(from);
    await runOk("update-ca-certificates", [...args, "--localcertsdir", from, "--etccertsdir", to], { signal });
    return { place: from, state: "done", note };
  } catch (error) {
    signal?.throwIfAborted();
    return { place: from, state: "failed", note: messageOf(error), cure: "apt-get install ca-certificates" };
  }
}

async function inBrowserStores(
  options: TrustOptions,
  make: boolean,
  change: (store: string) => Promise<string>,
): Promise<readonly TrustStep[]> {
  const found = await findStores(options.userHome);
  const [first = ""] = STORES;
  const ahead =
    make && !found.some((store) => store.endsWith(first)) && (await isInstalled(options, STORELESS_BROWSERS));
  const stores = ahead ? [...found, join(options.userHome, first)] : found;
  if (stores.length === 0) {
    return [{ place: options.userHome, state: "skipped", note: "no browser of this user has a store of its own here" }];
  }
  if (!(await isInstalled(options, ["certutil"]))) {
    const cure = "apt-get install libnss3-tools, and then the same command again";
    return stores.map((place) => ({
      place,
      state: "skipped",
      note: "there is no certutil to change a browser's store",
      cure,
    }));
  }
  const steps: TrustStep[] = [];
  for (const place of stores) {
    try {
      if (!found.includes(place)) await makeStore(place, options);
      steps.push({ place, state: "done", note: await change(place) });
    } catch (error) {
      options.signal?.throwIfAborted();
      steps.push({ place, state: "failed", note: messageOf(error) });
    }
  }
  return steps;
}

async function findStores(home: string): Promise<readonly string[]> {
  const folders = STORES.map((store) => join(home, store));
  for (const profiles of PROFILE_FOLDERS) {
    for (const name of await filesIn(join(home, profiles))) folders.push(join(home, profiles, name));
  }
  const found: string[] = [];
  for (const folder of folders) if (await isThere(join(folder, "cert9.db"))) found.push(folder);
  return found;
}

async function makeStore(store: string, options: TrustOptions): Promise<void> {
  await asUser(options, "mkdir", ["-p", "-m", "0700", store]);
  await certutil(["-N", "-d", `sql:${store}`, "--empty-password"], options);
}

function certutil(args: readonly string[], options: TrustOptions & { input?: string }): Promise<{ stdout: string }> {
  return asUser(options, "certutil", args);
}

/** The store of a user is changed as that user: its files stay that user's, and links in it lead root nowhere. */
function asUser(
  { runAs, signal, input }: TrustOptions & { input?: string },
  file: string,
  args: readonly string[],
): Promise<{ stdout: string }> {
  const options = { name: file, signal, ...(input === undefined ? {} : { input }) };
  return runAs === undefined
    ? runOk(file, args, options)
    : runOk("runuser", ["-u", runAs, "--", file, ...args], options);
}

async function isInstalled({ path, signal }: TrustOptions, names: readonly string[]): Promise<boolean> {
  for (const folder of path.split(delimiter)) {
    for (const name of names) if (await isProgram(join(folder, name))) return true;
  }
  signal?.throwIfAborted();
  return false;
}

/** One that this process may run; what it may not look at is none. */
async function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function filesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isNoSuchFile(error)) return [];
    throw error;
  }
}
