// The system users of the unprivileged processes: one each, no home, no shell, no password; and the one group that some share.
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
  tunnelEdge: "sallyport-tunnel-edge",
} as const;

export type SystemUserRole = keyof typeof SYSTEM_USERS;

/** Whoever is in it may connect to the api's socket for edges and to the gateway's for connections into sandboxes. */
export const EDGE_GROUP = "sallyport-edges";
const EDGE_ROLES: readonly SystemUserRole[] = ["connectProxy", "tunnelEdge"];

export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

export interface SystemUsers extends Readonly<Record<SystemUserRole, SystemUser>> {
  /** Id of {@link EDGE_GROUP}. */
  readonly edgeGid: number;
}

/** What a machine's tables say of users and groups. */
export interface UserTables {
  /** Text in the form of passwd(5). */
  readonly passwd: string;
  /** Text in the form of group(5). */
  readonly group: string;
}

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

/** Id and members of a group with this name, or undefined. Pure. */
function parseGroup(group: string, name: string): { gid: number; members: readonly string[] } | undefined {
  for (const line of group.split("\n")) {
    const [found, , gid, members] = line.split(":");
    if (found !== name || gid === undefined) continue;
    return { gid: Number(gid), members: (members ?? "").split(",").filter((member) => member !== "") };
  }
  return undefined;
}

/** The users of this machine. Throws HostError `NotFound` where set-up has not made them. */
export async function systemUsers(): Promise<SystemUsers> {
  const { passwd, group } = await userTables();
  const missing = (what: string) => new HostError("NotFound", `there is no ${what}`, { hint: "run: npm run setup" });
  const find = (role: SystemUserRole) => {
    const user = parseUser(passwd, SYSTEM_USERS[role]);
    if (user === undefined) throw missing(`system user ${SYSTEM_USERS[role]}`);
    return user;
  };
  const edges = parseGroup(group, EDGE_GROUP);
  if (edges === undefined) throw missing(`system group ${EDGE_GROUP}`);
  return {
    postgres: find("postgres"),
    api: find("api"),
    gateway: find("gateway"),
    resolver: find("resolver"),
    connectProxy: find("connectProxy"),
    tunnelEdge: find("tunnelEdge"),
    edgeGid: edges.gid,
  };
}

async function userTables(): Promise<UserTables> {
  const [passwd, group] = await Promise.all([readFile("/etc/passwd", "utf8"), readFile("/etc/group", "utf8")]);
  return { passwd, group };
}

/** Need: the system users, and the edges' group. */
export function usersNeed(readTables: () => Promise<UserTables> = userTables): Need {
  return { name: "users", probe: async () => judgeUsers(await readTables()) };
}

/** Pure. */
export function judgeUsers({ passwd, group }: UserTables): Finding {
  const base = { need: "users", why: WHY } as const;
  const names = Object.values(SYSTEM_USERS);
  const privileged = names.filter((name) => parseUser(passwd, name)?.uid === 0);
  if (privileged.length > 0) {
    const problem = `${privileged.join(", ")} has user id 0`;
    return { ...base, state: "broken", problem, cure: { say: [`userdel ${privileged.join(" ")}`] } };
  }
  const edges = parseGroup(group, EDGE_GROUP);
  const wanted = EDGE_ROLES.map((role): string => SYSTEM_USERS[role]);
  const strangers = edges?.members.filter((member) => !wanted.includes(member)) ?? [];
  if (strangers.length > 0) {
    const problem = `${strangers.join(", ")} in ${EDGE_GROUP} may open connections into every sandbox`;
    return {
      ...base,
      state: "broken",
      problem,
      cure: { say: strangers.map((name) => `gpasswd -d ${name} ${EDGE_GROUP}`) },
    };
  }
  const missing = names.filter((name) => parseUser(passwd, name) === undefined);
  const outside = wanted.filter((name) => edges?.members.includes(name) !== true);
  if (missing.length === 0 && outside.length === 0) {
    return { ...base, state: "ok", found: `${names.join(", ")}; ${EDGE_GROUP}` };
  }
  const commands: readonly (readonly [string, ...string[]])[] = [
    ...missing.map((name) => ["useradd", ...userAddArguments(name)] as const),
    ...(edges === undefined ? [["groupadd", "--system", EDGE_GROUP] as const] : []),
    ...outside.map((name) => ["usermod", "--append", "--groups", EDGE_GROUP, name] as const),
  ];
  const problems = [
    ...(missing.length === 0 ? [] : [`no system user ${missing.join(", ")}`]),
    ...(outside.length === 0 ? [] : [`${outside.join(", ")} not in the group ${EDGE_GROUP}`]),
  ];
  return {
    ...base,
    state: "missing",
    problem: problems.join("; "),
    cure: {
      say: commands.map((command) => command.join(" ")),
      what: missing.length === 0 ? `make the group ${EDGE_GROUP}` : `add the system users ${missing.join(", ")}`,
      async apply({ signal }) {
        for (const [program, ...args] of commands) await runOk(program, args, { signal });
      },
    },
  };
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
