// Stands a peer's containers still by the kernel's freezer. Docker's own `pause` asks the sandbox's kernel, which goes on
// burning processor time, and dozens of them leave none for what is being measured.
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";

/** Freezes a container of Docker's, or lets it go on. Without a freezer nothing changes. */
export async function setFrozen(id: string, frozen: boolean): Promise<void> {
  const ways = [
    [`/sys/fs/cgroup/freezer/docker/${id}/freezer.state`, "FROZEN", "THAWED"],
    [`/sys/fs/cgroup/docker/${id}/cgroup.freeze`, "1", "0"],
    [`/sys/fs/cgroup/system.slice/docker-${id}.scope/cgroup.freeze`, "1", "0"],
  ] as const;
  const way = ways.find(([path]) => existsSync(path));
  if (way === undefined) return;
  const [path, freeze, thaw] = way;
  await writeFile(path, frozen ? freeze : thaw);
}
