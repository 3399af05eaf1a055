// What a workspace may use. Pure: the store locks the workspace first, so what is judged still holds at commit.

/** Bounds of a workspace, or what it uses of them. A bound that is 0 is none. */
export interface Quota {
  /** Living sandboxes. */
  readonly sandboxes: number;
  /** Of all living sandboxes. */
  readonly cpuMillis: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  /** In any 60 s. */
  readonly createsPerMinute: number;
}

/** What holds where the operator has set nothing: far beyond what one machine carries, and yet a stop for a runaway. */
export const DEFAULT_QUOTA: Quota = {
  sandboxes: 1_000,
  cpuMillis: 1_000_000,
  memoryMiB: 1_048_576,
  diskMiB: 4_194_304,
  createsPerMinute: 1_200,
};

/** How long a create counts. */
export const CREATE_WINDOW_MS = 60_000;

/** What one more sandbox takes. */
export interface QuotaDemand {
  readonly cpuMillis: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
}

/** A bound that would be passed, in the words of `WorkspaceQuota`. */
export interface QuotaExcess {
  readonly name: "sandboxes" | "cpu_millis" | "memory_mib" | "disk_mib" | "creates_per_minute";
  readonly limit: number;
  readonly used: number;
  readonly asked: number;
}

/** The first bound that one more sandbox would pass; undefined when there is room. */
export function excessOf(quota: Quota, used: Quota, demand: QuotaDemand): QuotaExcess | undefined {
  const rows: readonly QuotaExcess[] = [
    { name: "creates_per_minute", limit: quota.createsPerMinute, used: used.createsPerMinute, asked: 1 },
    { name: "sandboxes", limit: quota.sandboxes, used: used.sandboxes, asked: 1 },
    { name: "cpu_millis", limit: quota.cpuMillis, used: used.cpuMillis, asked: demand.cpuMillis },
    { name: "memory_mib", limit: quota.memoryMiB, used: used.memoryMiB, asked: demand.memoryMiB },
    { name: "disk_mib", limit: quota.diskMiB, used: used.diskMiB, asked: demand.diskMiB },
  ];
  return rows.find(({ limit, used: now, asked }) => limit > 0 && now + asked > limit);
}
