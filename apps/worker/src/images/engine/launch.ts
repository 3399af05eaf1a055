// How the engine is started, as data: command lines, files, rules. Pure: what it may do is decided here.
import { dirname, join } from "node:path";
import { FORGET_DISKS } from "../forget-disks.ts";

export interface LaunchOptions {
  /** With `bin/` and `lib/`. */
  readonly engineDirectory: string;
  /** Root's own; all of the engine's files lie in it. */
  readonly stateDirectory: string;
  readonly netnsPath: string;
  /** `cgroup.procs` files that the engine joins. */
  readonly cgroupFiles: readonly string[];
  /** Where containers of builds go. */
  readonly cgroupParent: string;
  readonly insecureRegistries: readonly string[];
  /** Whom the engine and containers of builds ask for names. */
  readonly resolver: string;
  /** The program that reaps what shims leave behind. */
  readonly reap: string;
}

export interface EnginePaths {
  readonly socket: string;
  /** The sparse file that bounds what the engine keeps. */
  readonly disk: string;
  /** Where it is mounted, in the engine's own mount namespace alone. */
  readonly data: string;
  readonly exec: string;
  readonly pidFile: string;
  readonly config: string;
  readonly resolvConf: string;
  /** The runtime, under the only name that the engine also looks for by itself: its runc is gVisor. */
  readonly runtime: string;
}

export function enginePaths(stateDirectory: string): EnginePaths {
  return {
    socket: join(stateDirectory, "engine.sock"),
    disk: join(stateDirectory, "disk.img"),
    data: join(stateDirectory, "data"),
    exec: join(stateDirectory, "exec"),
    pidFile: join(stateDirectory, "engine.pid"),
    config: join(stateDirectory, "engine.json"),
    resolvConf: join(stateDirectory, "resolv.conf"),
    runtime: join(stateDirectory, "bin", "runc"),
  };
}

const BRIDGE = "docker0";
/** Of containers of builds; private, so no policy lets anybody outside be meant by it. */
const BRIDGE_ADDRESS = "172.31.255.1";
const BRIDGE_SUBNET = "172.31.255.0/24";

/** What the engine reads as /etc/resolv.conf. */
export function resolvConf(resolver: string): string {
  return `nameserver ${resolver}\noptions timeout:3 attempts:2\n`;
}

/** gVisor, whatever else there is: writes go through to the layer, so that the engine can commit them. */
export function runtimeScript(runsc: string, hide: string | undefined): string {
  const flags = "--overlay2=none";
  const hidden =
    hide === undefined ? "" : `case " $* " in *" start "*) exec '${hide}' '${runsc}' ${flags} "$@" ;; esac\n`;
  return `#!/bin/sh\n# The runtime of every container that the engine starts.\n${hidden}exec '${runsc}' ${flags} "$@"\n`;
}

/** The engine's configuration file: what there are no arguments for. Its key would else be put into /etc/docker. */
export function daemonConfig(paths: EnginePaths): string {
  return `${JSON.stringify({ "deprecated-key-path": join(paths.exec, "key.json") })}\n`;
}

/** Never needed by an engine, and so taken from it for good. */
const TAKEN_CAPABILITIES = [
  "sys_module",
  "sys_rawio",
  "sys_time",
  "sys_boot",
  "syslog",
  "mac_admin",
  "mac_override",
  "wake_alarm",
  "audit_control",
  "audit_read",
];

/** Joins the cgroups before anything else of it runs. */
const JOIN = `n=$1; shift; while [ "$n" -gt 0 ]; do echo $$ >"$1"; shift; n=$((n-1)); done; exec "$@"`;

/**
 * In the new mount namespace: /run is empty (so no socket of the machine is there, and what containerd makes in it is gone
 * with the engine), names are looked up at the slot's resolver, the user's /etc/docker is not read.
 */
const ENTER = `set -eu
disk=$1; data=$2; resolv=$3; path=$4; shift 4
${FORGET_DISKS}
mount -o loop,discard,nosuid,nodev "$disk" "$data"
target=$(readlink -m /etc/resolv.conf)
case $target in
  /run/*) mount -t tmpfs -o mode=755,size=32m none /run; mkdir -p "\${target%/*}"; : >"$target"; mount --bind "$resolv" "$target" ;;
  *) [ -e "$target" ] && mount --bind "$resolv" "$target"; mount -t tmpfs -o mode=755,size=32m none /run ;;
esac
[ ! -d /etc/docker ] || mount -t tmpfs -o ro,size=4k none /etc/docker
PATH=$path
exec "$@"`;

/** The command line of the engine. Whoever starts it must live as long: the kernel ends the engine with its parent. */
export function launchArguments(options: LaunchOptions): [string, ...string[]] {
  const paths = enginePaths(options.stateDirectory);
  const join = ["sh", "-c", JOIN, "sh", String(options.cgroupFiles.length), ...options.cgroupFiles];
  const less = [
    "setpriv",
    "--pdeathsig",
    "KILL",
    "--bounding-set",
    TAKEN_CAPABILITIES.map((name) => `-${name}`).join(),
  ];
  const apart = [
    "unshare",
    "--mount",
    "--propagation",
    "slave",
    "--pid",
    "--ipc",
    "--fork",
    "--kill-child",
    "--mount-proc",
  ];
  // All of the engine's PATH: whatever runc this machine has elsewhere is not in it.
  const path = `${options.engineDirectory}/bin:${dirname(paths.runtime)}`;
  const enter = ["sh", "-c", ENTER, "sh", paths.disk, paths.data, paths.resolvConf, path];
  const daemon = [options.reap, "--", `${options.engineDirectory}/bin/dockerd`, ...daemonArguments(options)];
  return ["nsenter", `--net=${options.netnsPath}`, "--", ...join, ...less, ...apart, "--", ...enter, ...daemon];
}

function daemonArguments(options: LaunchOptions): string[] {
  const paths = enginePaths(options.stateDirectory);
  return [
    `--host=unix://${paths.socket}`,
    `--data-root=${join(paths.data, "engine")}`,
    `--exec-root=${paths.exec}`,
    `--pidfile=${paths.pidFile}`,
    `--config-file=${paths.config}`,
    "--storage-driver=overlay2",
    "--exec-opt=native.cgroupdriver=cgroupfs",
    `--cgroup-parent=${options.cgroupParent}`,
    `--add-runtime=sandbox=${paths.runtime}`,
    "--default-runtime=sandbox",
    // The rules of its namespace are ours.
    "--iptables=false",
    "--ip6tables=false",
    "--ip-masq=false",
    "--ip-forward=false",
    "--userland-proxy=false",
    `--bip=${BRIDGE_ADDRESS}/24`,
    `--dns=${options.resolver}`,
    "--log-driver=none",
    "--log-level=warn",
    "--max-concurrent-downloads=3",
    ...options.insecureRegistries.map((registry) => `--insecure-registry=${registry}`),
  ];
}

/** What the engine sees of our environment, beside PATH. */
export function launchEnvironment(options: LaunchOptions): Readonly<Record<string, string>> {
  return { LD_LIBRARY_PATH: `${options.engineDirectory}/lib`, HOME: options.stateDirectory };
}

/** Containers of builds reach out through the slot and nothing else: neither each other nor the engine's namespace. */
export const ENGINE_RULES = `table ip sallyport_engine {
  chain nat {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${BRIDGE_SUBNET} oifname "eth0" masquerade
  }
  chain through {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "${BRIDGE}" oifname "eth0" ip saddr ${BRIDGE_SUBNET} accept
  }
}
table inet sallyport_engine_input {
  chain input {
    type filter hook input priority filter; policy drop;
    iif "lo" accept
    ct state established,related accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
  }
}
table bridge sallyport_engine {
  chain between {
    type filter hook forward priority filter; policy drop;
  }
}
`;
