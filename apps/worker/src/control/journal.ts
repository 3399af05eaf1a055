// The journal: one file per instance, replaced whole. It outlives a kill of the worker at any moment. A restart of the
// machine ends everything that it tells of, so it is not forced to the disk.
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isId } from "@sallyport/contracts";
import type { RecordStore } from "../instance/parts.ts";
import { type InstanceRecord, recordShape } from "../instance/record.ts";
import { openReserve, type ReserveOptions } from "./reserve.ts";

export interface Journal extends RecordStore {
  /** Every record, and the ids of those that cannot be read. */
  load(): Promise<{ readonly records: readonly InstanceRecord[]; readonly unreadable: ReadonlySet<string> }>;
}

const RESERVE = ".reserve";
const SUFFIX = ".json";
const HALF_WRITTEN = ".new";

export async function openJournal(directory: string, options: ReserveOptions = {}): Promise<Journal> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const pathOf = (instanceId: string) => join(directory, `${instanceId}${SUFFIX}`);
  const reserve = await openReserve(`${directory}${RESERVE}`, options);
  /** The last write of each record that is under way: two at once would share the half-written file. */
  const writing = new Map<string, Promise<void>>();
  const inTurn = (instanceId: string, step: () => Promise<void>) => {
    const before = writing.get(instanceId) ?? Promise.resolve();
    const mine = before.then(step, step).finally(() => {
      if (writing.get(instanceId) === mine) writing.delete(instanceId);
    });
    writing.set(instanceId, mine);
    return mine;
  };
  return {
    async load() {
      const records: InstanceRecord[] = [];
      const unreadable = new Set<string>();
      for (const name of await readdir(directory)) {
        if (name.endsWith(HALF_WRITTEN)) await rm(join(directory, name), { force: true });
        const instanceId = name.slice(0, -SUFFIX.length);
        if (!name.endsWith(SUFFIX) || !isId("instance", instanceId)) continue;
        const record = await readRecord(join(directory, name), instanceId);
        if (record === undefined) unreadable.add(instanceId);
        else records.push(record);
      }
      return { records, unreadable };
    },
    save: (record) =>
      inTurn(record.instanceId, async () => {
        const path = pathOf(record.instanceId);
        // Read by root alone: it holds the sandbox's environment and init's secret.
        await reserve.through(() => writeFile(`${path}${HALF_WRITTEN}`, JSON.stringify(record), { mode: 0o600 }));
        await rename(`${path}${HALF_WRITTEN}`, path);
      }),
    remove: (instanceId) => inTurn(instanceId, () => rm(pathOf(instanceId), { force: true })),
  };
}

async function readRecord(path: string, instanceId: string): Promise<InstanceRecord | undefined> {
  try {
    const record = recordShape.parse(JSON.parse(await readFile(path, "utf8")));
    return record.instanceId === instanceId ? record : undefined;
  } catch {
    return undefined; // damaged, or of a worker that is not ours
  }
}
