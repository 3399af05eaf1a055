// The system users of the unprivileged processes: one each, no home, no shell, no password.
import { readFile } from "node:fs/promises";
import { runOk } from "./command.ts";
import { HostError } from "./errors.ts";
import type { Finding, Need } from "./finding.ts";

/** User and group of each unprivileged process. */
export const SYSTEM_USERS = {
  postgres: "sallyport-postgres",
  api: "sallyport-api",
  gateway: "sallyport-gateway",
  resolver: "sallyport-resolver",
  connectProxy: "sallyport-connect-proxy",
} as const;

export type SystemUserRole = keyof typeof SYSTEM_USERS;

export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export type SystemUsers = Readonly<Record<SystemUserRole, SystemUser>>;

const WHY =
  "each unprivileged process of Sallyport runs as its own user, so that one that is broken into reads nothing of the others";

/** A line of the user table with this name, or undefined. Pure. */
export function parseUser(passwd: string, name: string): SystemUser | undefined {
  for (const line of passwd.split("\n")) {
    const [user, , uid, gid] = line.split(":");
    if (user !== name || uid === undefined || gid === undefined) continue;
    return { name, uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}

/** The users of this machine. Throws HostError `NotFound` where set-up has not made them. */
export async function systemUsers(passwdFile = "/etc/passwd"): Promise<SystemUsers> {
  const passwd = await readFile(passwdFile, "utf8");
  const find = (role: SystemUserRole) => {
    const user = parseUser(passwd, SYSTEM_USERS[role]);
    if (user === undefined) {
      throw new HostError("NotFound", `there is no system user ${SYSTEM_USERS[role]}`, { hint: "run: npm run setup" });
    }
    return user;
  };
  return {
    postgres: find("postgres"),
    api: find("api"),
    gateway: find("gateway"),
    resolver: find("resolver"),
    connectProxy: find("connectProxy"),
  };
}

/** Need: the system users. */
export function usersNeed(passwdFile = "/etc/passwd"): Need {
  const probe = async (): Promise<Finding> => {
    const passwd = await readFile(passwdFile, "utf8");
    const names = Object.values(SYSTEM_USERS);
    const missing = names.filter((name) => parseUser(passwd, name) === undefined);
    const privileged = names.filter((name) => parseUser(passwd, name)?.uid === 0);
    if (privileged.length > 0) {
      return {
        need: "users",
        state: "broken",
        why: WHY,
        problem: `${privileged.join(", ")} has user id 0`,
        cure: { say: [`userdel ${privileged.join(" ")}`] },
      };
    }
    if (missing.length === 0) return { need: "users", state: "ok", why: WHY, found: names.join(", ") };
    return {
      need: "users",
      state: "missing",
      why: WHY,
      problem: `no system user ${missing.join(", ")}`,
      cure: {
        say: missing.map((name) => ["useradd", ...userAddArguments(name)].join(" ")),
        what: `add the system users ${missing.join(", ")}`,
        async apply({ signal }) {
          for (const name of missing) await runOk("useradd", userAddArguments(name), { signal });
        },
      },
    };
  };
  return { name: "users", probe };
}

function userAddArguments(name: string): string[] {
  return [
    "--system",
    "--user-group",
    "--no-create-home",
    "--home-dir",
    "/nonexistent",
    "--shell",
    "/usr/sbin/nologin",
    name,
  ];
}
