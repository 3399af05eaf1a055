// Need: a kernel with cgroups, network namespaces, veth and nf_tables. Tried for real where we are root, in a namespace of its own.
import { access, constants, readFile } from "node:fs/promises";
import { release } from "node:os";
import { join } from "node:path";
import { run } from "./command.ts";
import { isNoSuchFile } from "./errors.ts";
import type { Finding, Need } from "./finding.ts";

/** Where a cgroup controller is mounted. For version 2 every entry is the same directory. */
export interface CgroupLayout {
  readonly version: 1 | 2;
  /** Mount point per controller: memory, cpu, pids, freezer (in version 2 the freezer is part of the core). */
  readonly mounts: Readonly<Record<CgroupController, string>>;
}

export type CgroupController = "memory" | "cpu" | "pids" | "freezer";

export interface NetworkTrial {
  readonly networkNamespaces: boolean;
  readonly veth: boolean;
  readonly nftables: boolean;
  /** Whether a fresh namespace shows /proc/sys/net/core/rmem_default: old runsc then needs /proc/sys/net hidden at start. */
  readonly rmemDefaultIsVisible: boolean;
}

export interface KernelFacts {
  readonly release: string;
  readonly cgroups: CgroupLayout | undefined;
  /** Undefined where we are not root, or nft and ip are not installed yet. */
  readonly network: NetworkTrial | undefined;
}

const WHY =
  "a sandbox is bounded by cgroups (memory, CPU, processes, freezer) and lives in a network namespace whose rules nftables holds";
const CONTROLLERS: readonly CgroupController[] = ["memory", "cpu", "pids", "freezer"];

/** What the platform's rules are made of; a kernel without one of these modules says so here, not at the first sandbox. */
const TRIAL_RULES = `table inet trial {
  set never { type ipv4_addr; flags interval; auto-merge; elements = { 198.51.100.0/24 } }
  set bind { typeof iifname . ip saddr; elements = { "trial0" . 198.51.100.1 } }
  map verdict { type ipv4_addr : verdict; elements = { 198.51.100.1 : drop } }
  set counted { typeof numgen random mod 2; size 2; flags dynamic; }
  ct timeout idle {
    protocol tcp
    l3proto ip
    policy = { established: 7440 }
  }
  chain raw { type filter hook prerouting priority raw; policy accept; iifname . ip saddr @bind accept; }
  chain through { type filter hook forward priority filter; policy drop;
    ct timeout set "idle"; add @counted { numgen random mod 2 ct count over 2 } drop;
    ct state established,related accept; ip daddr @never drop; ip6 daddr 2001:db8::/32 drop; ip saddr vmap @verdict; }
  chain outward { type filter hook output priority filter; policy accept; meta skuid 0 accept; }
  chain nat { type nat hook postrouting priority srcnat; policy accept; masquerade; }
}
`;
const TRIAL_SCRIPT = `echo namespace
[ -e /proc/sys/net/core/rmem_default ] && echo rmem
ip link add trial0 type veth peer name trial1 && echo veth
nft -f - && echo nftables
true`;

/** Need: the kernel's parts. */
export function kernelNeed(readFacts: () => Promise<KernelFacts> = kernelFacts): Need {
  return { name: "kernel", probe: async () => judgeKernel(await readFacts()) };
}

/** What this kernel has. Makes, and forgets, one network namespace where we are root. */
export async function kernelFacts(): Promise<KernelFacts> {
  const [cgroups, network] = await Promise.all([cgroupLayout(), tryNetwork()]);
  return { release: release(), cgroups, network };
}

/** The cgroup mounts of this machine that hold every controller we need, or undefined. */
export async function cgroupLayout(mountInfoFile = "/proc/self/mountinfo"): Promise<CgroupLayout | undefined> {
  const mountInfo = await readFile(mountInfoFile, "utf8");
  const unified = unifiedMount(mountInfo);
  return parseCgroupLayout(mountInfo, unified === undefined ? "" : await controllersOf(unified));
}

/** Pure: version 1 where all four controllers are mounted there, else version 2 where the unified tree has the other three. */
export function parseCgroupLayout(mountInfo: string, unifiedControllers: string): CgroupLayout | undefined {
  const v1: Partial<Record<CgroupController, string>> = {};
  for (const mount of parseMounts(mountInfo)) {
    if (mount.type !== "cgroup") continue;
    for (const controller of CONTROLLERS) if (mount.superOptions.includes(controller)) v1[controller] ??= mount.path;
  }
  const { memory, cpu, pids, freezer } = v1;
  if (memory !== undefined && cpu !== undefined && pids !== undefined && freezer !== undefined) {
    return { version: 1, mounts: { memory, cpu, pids, freezer } };
  }
  const unified = unifiedMount(mountInfo);
  const has = new Set(unifiedControllers.trim().split(/\s+/));
  if (unified === undefined || !has.has("memory") || !has.has("cpu") || !has.has("pids")) return undefined;
  return { version: 2, mounts: { memory: unified, cpu: unified, pids: unified, freezer: unified } };
}

/** Pure. */
export function judgeKernel(facts: KernelFacts): Finding {
  const problems: string[] = [];
  const say: string[] = [];
  if (facts.cgroups === undefined) {
    problems.push("cgroups with memory, cpu, pids and freezer are not mounted");
    say.push("mount -t cgroup2 none /sys/fs/cgroup");
  }
  const { network } = facts;
  if (network !== undefined && !network.networkNamespaces) {
    problems.push("no network namespace can be made");
    say.push("use a kernel with CONFIG_NET_NS, and a container (if this is one) that may use it");
  } else if (network !== undefined) {
    if (!network.veth) {
      problems.push("no veth link can be made");
      say.push("modprobe veth");
    }
    if (!network.nftables) {
      problems.push(
        "the kernel does not take nftables rules with sets, maps, conntrack with counts and timeouts, and masquerade",
      );
      say.push("modprobe -a nf_tables nft_ct nft_connlimit nft_numgen nft_masq nft_chain_nat");
    }
  }
  const found = [
    `Linux ${facts.release}`,
    facts.cgroups === undefined ? "no cgroups" : `cgroup v${facts.cgroups.version}`,
    ...(network === undefined ? ["network not tried (needs root, ip and nft)"] : []),
    ...(network?.rmemDefaultIsVisible === true ? ["rmem_default visible in new namespaces"] : []),
  ].join(", ");
  if (problems.length === 0) return { need: "kernel", state: "ok", why: WHY, found };
  return { need: "kernel", state: "broken", why: WHY, found, problem: problems.join("; "), cure: { say } };
}

/** Undefined where it cannot be tried: not root, or ip or nft missing (another need tells that). */
async function tryNetwork(): Promise<NetworkTrial | undefined> {
  if (process.getuid?.() !== 0 || !(await hasPrograms(["ip", "nft", "unshare"]))) return undefined;
  const result = await run("unshare", ["--net", "sh", "-c", TRIAL_SCRIPT], {
    input: TRIAL_RULES,
    timeoutMs: 20_000,
    env: { PATH: PROGRAM_PATH },
  });
  const lines = new Set(result.stdout.split("\n"));
  return {
    networkNamespaces: lines.has("namespace"),
    veth: lines.has("veth"),
    nftables: lines.has("nftables"),
    rmemDefaultIsVisible: lines.has("rmem"),
  };
}

const PROGRAM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

async function hasPrograms(names: readonly string[]): Promise<boolean> {
  const found = await Promise.all(
    names.map(async (name) => {
      const places = PROGRAM_PATH.split(":").map((directory) => isExecutable(join(directory, name)));
      return (await Promise.all(places)).includes(true);
    }),
  );
  return !found.includes(false);
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

interface Mount {
  readonly path: string;
  readonly type: string;
  readonly superOptions: readonly string[];
}

function parseMounts(mountInfo: string): readonly Mount[] {
  const mounts: Mount[] = [];
  for (const line of mountInfo.split("\n")) {
    const [left, right] = line.split(" - ");
    const path = left?.split(" ")[4];
    const [type, , superOptions] = right?.split(" ") ?? [];
    if (path === undefined || type === undefined) continue;
    mounts.push({ path, type, superOptions: (superOptions ?? "").split(",") });
  }
  return mounts;
}

function unifiedMount(mountInfo: string): string | undefined {
  return parseMounts(mountInfo).find((mount) => mount.type === "cgroup2")?.path;
}

async function controllersOf(unified: string): Promise<string> {
  try {
    return await readFile(join(unified, "cgroup.controllers"), "utf8");
  } catch (error) {
    if (isNoSuchFile(error)) return "";
    throw error;
  }
}
