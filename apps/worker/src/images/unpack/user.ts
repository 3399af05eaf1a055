// Who an image's USER is, by the image's own tables: a stranger's text, read in bounds and through no link.
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { ArchiveError, shown } from "./paths.ts";
import type { Tree } from "./tree.ts";

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
}

const MAX_TABLE_BYTES = 1024 * 1024;
const MAX_ID = 2 ** 31 - 2;

/** `USER name|uid[:group|gid]`; empty is root. Throws ArchiveError where it names nobody. */
export function resolveUser(tree: Tree, user: string): ResolvedUser {
  const [who = "", group] = user.split(":");
  const known = who === "" ? undefined : rowOf(table(tree, "passwd"), who, 2);
  const uid = who === "" ? 0 : idOf(known?.[2] ?? who);
  if (uid === undefined) throw new ArchiveError(`USER ${shown(user)} names nobody in /etc/passwd`);
  if (group !== undefined && group !== "") {
    const gid = idOf(rowOf(table(tree, "group"), group, 2)?.[2] ?? group);
    if (gid === undefined) throw new ArchiveError(`USER ${shown(user)} names no group in /etc/group`);
    return { uid, gid };
  }
  return { uid, gid: idOf(known?.[3] ?? "0") ?? 0 };
}

/** The first row with this name, or this number, as Docker looks it up. */
function rowOf(rows: readonly (readonly string[])[], key: string, idColumn: number): readonly string[] | undefined {
  return rows.find((row) => row[0] === key || (/^\d+$/.test(key) && row[idColumn] === key));
}

function idOf(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) && Number(text) <= MAX_ID ? Number(text) : undefined;
}

/** Rows of fields; none where there is no such plain file. */
function table(tree: Tree, name: string): string[][] {
  let file: number;
  try {
    file = openSync(tree.pathOf(["etc", name]), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return []; // not there, or a link
  }
  try {
    if (!fstatSync(file).isFile()) return [];
    const buffer = Buffer.alloc(MAX_TABLE_BYTES);
    const length = readSync(file, buffer, 0, buffer.length, 0);
    const lines = buffer.subarray(0, length).toString("utf8").split("\n");
    return lines.map((line) => line.split(":"));
  } finally {
    closeSync(file);
  }
}
