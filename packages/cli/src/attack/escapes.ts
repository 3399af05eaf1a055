// Probes for ways out: sockets of the platform, /proc and /sys, mounts, devices, capabilities, system calls.
import type { InsideProbe } from "./probe.ts";

export const ESCAPES: readonly InsideProbe[] = [
  {
    name: "engine sockets",
    aim: "talk to a container engine",
    python: `
found = [p for p in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/crio/crio.sock", "/run/podman/podman.sock") if os.path.exists(p)]
broken("there: " + ", ".join(found)) if found else held("none is there")`,
  },
  {
    name: "platform sockets",
    aim: "talk to the platform's own processes",
    python: `
found = []
for root, directories, files in os.walk("/"):
    directories[:] = [d for d in directories if os.path.join(root, d) not in ("/proc", "/sys")]
    for name in files:
        try:
            if stat.S_ISSOCK(os.lstat(os.path.join(root, name)).st_mode): found.append(os.path.join(root, name))
        except OSError: pass
broken("sockets: " + ", ".join(found[:5])) if found else held("no socket in the whole tree")`,
  },
  {
    name: "platform files",
    aim: "read or find the platform's state",
    python: `
found = [p for p in ("/var/lib/sallyport", "/opt/sallyport", "/var/cache/sallyport", "/run/sallyport-forwarding") if os.path.exists(p)]
broken("there: " + ", ".join(found)) if found else held("no trace of the platform's directories")`,
  },
  {
    name: "host ports",
    aim: "reach the api, the gateway, an engine or ssh on the host",
    python: `
import concurrent.futures
ports = (22, 2375, 2376, 5432, 7350, 7351, 7352, 7353, 7443)
addresses = sys.argv[2:] + ["127.0.0.1", "::1", "169.254.169.254"]
try:
    with open("/proc/net/route") as table:
        for line in table.readlines()[1:]:
            gateway = bytes.fromhex(line.split()[2])[::-1]
            if any(gateway): addresses.append(socket.inet_ntop(socket.AF_INET, gateway))
except OSError: pass
def attempt(target):
    try:
        with socket.create_connection(target, timeout=1): return "%s port %d" % target
    except OSError: return None
targets = [(address, port) for address in addresses for port in ports]
with concurrent.futures.ThreadPoolExecutor(64) as pool: open_ones = [t for t in pool.map(attempt, targets) if t]
broken("connected to " + ", ".join(open_ones[:5])) if open_ones else held("%d targets, none answers" % len(targets))`,
  },
  {
    name: "init's door",
    aim: "command init from inside, without its secret",
    python: `
answers = []
for secret in (b"\\0" * 32, b"\\xff" * 32):
    with socket.create_connection(("127.0.0.1", 10099), timeout=3) as door:
        body = b"SLYP\\x01" + secret
        door.sendall(len(body).to_bytes(4, "big") + b"\\x01" + body)
        door.settimeout(5)
        try: answers.append(door.recv(64))
        except ConnectionError: answers.append(b"")
broken("it answered %r" % answers) if any(answers) else held("closed without a word")`,
  },
  {
    name: "init's secret",
    aim: "read the secret that init shares with the gateway",
    python: `
name = b"SALLYPORT_INIT_SECRET="
for path in ("/proc/1/environ", "/proc/self/environ"):
    try:
        with open(path, "rb") as file: entries = file.read().split(b"\\0")
    except OSError: continue
    if any(entry.startswith(name) and entry[len(name):].strip(b"\\0") for entry in entries): broken("in " + path)
held("overwritten or absent")`,
  },
  {
    name: "init's memory",
    aim: "trace init, or read its memory",
    python: `
trace = refused("ptrace attach", lambda: call("ptrace", 16, 1, 0, 0))
def memory():
    with open("/proc/1/mem", "rb") as file:
        file.seek(4096 * 16); file.read(1)
held(trace + "; " + refused("/proc/1/mem", memory))`,
  },
  {
    name: "kernel settings",
    aim: "change settings of the kernel",
    python: `
paths = ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/panic_on_oom", "/proc/sys/fs/binfmt_misc/register", "/proc/sys/kernel/hostname")
held("; ".join(refused(os.path.basename(p), writing(p)) for p in paths))`,
  },
  {
    name: "sysrq",
    aim: "crash or reboot the machine",
    python: `held(refused("sysrq-trigger", writing("/proc/sysrq-trigger", "b")) + "; " + refused("reboot", lambda: call("reboot", 0x1234567)))`,
  },
  {
    name: "kernel memory",
    aim: "read the memory of the kernel",
    python: `
def reading(path):
    def attempt():
        with open(path, "rb") as file:
            if not file.read(64): raise OSError(errno.ENODATA, "empty")
    return attempt
held("; ".join(refused(p, reading(p)) for p in ("/proc/kcore", "/dev/mem", "/dev/kmem", "/dev/port", "/proc/kpagecount")))`,
  },
  {
    name: "host's processes",
    aim: "see processes of the host or of other sandboxes",
    python: `
names = []
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        with open("/proc/%s/cmdline" % pid) as file: names.append(file.read().split("\\0")[0])
    except OSError: pass
strange = [n for n in names if any(w in n for w in ("runsc", "conmon", "postgres", "dockerd", "sallyport-reap", "node"))]
broken("sees " + ", ".join(strange[:3])) if strange else held("sees %d processes, all its own" % len(names))`,
  },
  {
    name: "root of others",
    aim: "leave through /proc/PID/root or an inherited descriptor",
    python: `
own = os.stat("/")
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        there = os.stat("/proc/%s/root/" % pid)
        if (there.st_dev, there.st_ino) != (own.st_dev, own.st_ino): broken("another root through process " + pid)
    except OSError: pass
strange = []
for number in os.listdir("/proc/self/fd"):
    try:
        target = os.readlink("/proc/self/fd/" + number)
        if int(number) > 2 and target.startswith("/") and not target.startswith(("/proc/", "/dev/null", "/dev/urandom")): strange.append(target)
    except OSError: pass
broken("descriptors: " + ", ".join(strange)) if strange else held("one root for all, three descriptors")`,
  },
  {
    name: "/sys",
    aim: "write to the host's devices and cgroups through /sys",
    python: `
written = []
for root, directories, files in os.walk("/sys"):
    for name in files:
        path = os.path.join(root, name)
        try: os.close(os.open(path, os.O_WRONLY)); written.append(path)
        except OSError: pass
held("nothing in /sys opens for writing") if not written else broken("writable: " + ", ".join(written[:3]))`,
  },
  {
    name: "cgroup release agent",
    aim: "run a program on the host through a cgroup",
    python: `
os.makedirs(at("cg"), exist_ok=True)
held("; ".join((refused("mount cgroup", lambda: call("mount", b"cgroup", at("cg"), b"cgroup", 0, b"memory")), refused("mount cgroup2", lambda: call("mount", b"none", at("cg"), b"cgroup2", 0, None)))))`,
  },
  {
    name: "mount",
    aim: "mount, remount or unmount",
    python: `
os.makedirs(at("m"), exist_ok=True)
attempts = {
  "tmpfs": lambda: call("mount", b"t", at("m"), b"tmpfs", 0, None),
  "bind": lambda: call("mount", b"/", at("m"), None, 4096, None),
  "remount": lambda: call("mount", None, b"/etc/hosts", None, 32 | 4096, None),
  "umount": lambda: call("umount2", b"/etc/hosts", 2),
  "pivot_root": lambda: call("syscall", NUMBERS["pivot_root"], TMP.encode(), at("m")),
}
held("; ".join(refused(name, attempt) for name, attempt in attempts.items()))`,
  },
  {
    name: "platform's mounts",
    aim: "change init, or the files that the platform mounts",
    python: `
paths = ("/.sallyport/init", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")
answers = [refused(p, writing(p)) for p in paths] + [refused("remove init", lambda: os.unlink("/.sallyport/init"))]
held("; ".join(answers))`,
  },
  {
    name: "devices",
    aim: "use or make a device of the host",
    python: `
import fcntl, struct
# What gVisor itself plays: null, zero, full, random, urandom, tty, console, ptmx, fuse, tun. Anything else is a machine's.
played = {(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (10, 229), (10, 200)}
strange = []
for root, directories, files in os.walk("/dev"):
    for name in files:
        facts = os.lstat(os.path.join(root, name))
        device = (os.major(facts.st_rdev), os.minor(facts.st_rdev))
        if stat.S_ISBLK(facts.st_mode) or (stat.S_ISCHR(facts.st_mode) and device not in played and not root.startswith("/dev/pts")): strange.append("%s %d:%d" % (name, *device))
if strange: broken("there: " + ", ".join(strange))
def interface(): fcntl.ioctl(os.open("/dev/net/tun", os.O_RDWR), 0x400454ca, struct.pack("16sH22x", b"tun0", 1 | 0x1000))
held("; ".join((refused("an interface of tun", interface), refused("mknod of a disk", making(at("disk"), stat.S_IFBLK, 254, 0)), refused("mknod of memory", making(at("mem"), stat.S_IFCHR, 1, 1)))))`,
  },
  {
    name: "capabilities",
    aim: "hold any capability",
    python: `
with open("/proc/self/status") as file: status = dict(line.rstrip("\\n").split(":\\t", 1) for line in file if ":\\t" in line)
sets = {name: int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb") if name in status}
broken(str(sets)) if any(sets.values()) or not sets else held("all sets are empty")`,
  },
  {
    name: "set-user-id programs",
    aim: "gain privilege by running a program",
    python: `
if libc.prctl(39, 0, 0, 0, 0) != 1: broken("no_new_privs is not set")
held("no_new_privs is set; " + refused("clearing it", lambda: call("prctl", 38, 0, 0, 0, 0)))`,
  },
  {
    name: "user namespace",
    aim: "become root in a namespace, and use that against the host",
    python: `
os.makedirs(at("u"), exist_ok=True)
child = os.fork()
if child == 0:
    try: call("unshare", 0x10000000 | 0x00020000)
    except OSError: os._exit(10)
    attempts = (lambda: call("mount", b"/dev/vda", at("u"), b"ext4", 0, None), lambda: call("mount", b"none", at("u"), b"cgroup2", 0, None), making(at("u/disk"), stat.S_IFBLK, 254, 0), making(at("u/mem"), stat.S_IFCHR, 1, 1), writing("/proc/sys/kernel/core_pattern", "x"), writing("/etc/hosts"))
    for number, attempt in enumerate(attempts):
        try: attempt()
        except OSError: continue
        os._exit(20 + number)
    os._exit(13)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
{10: lambda: held("unshare is refused"), 13: lambda: held("it may have one, and can do nothing with it")}.get(code, lambda: broken("got through, step %d" % code))()`,
  },
  {
    name: "raw sockets",
    aim: "listen to or forge packets of others",
    python: `
answers = [refused("AF_PACKET", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))]
answers.append(refused("raw IPv4", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)))
held("; ".join(answers))`,
  },
  {
    name: "own addresses",
    aim: "take another address or interface",
    python: `
import fcntl, struct
def address():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8916, struct.pack("16sHH4s8x", b"eth0", socket.AF_INET, 0, socket.inet_aton("100.64.0.77")))
held(refused("SIOCSIFADDR", address) + "; " + refused("setns", lambda: call("setns", os.open("/proc/1/ns/net", os.O_RDONLY), 0)) )`,
  },
  {
    name: "kernel calls",
    aim: "load code into the kernel",
    python: `
now = (ctypes.c_long * 2)(0, 0)
calls = {"init_module": (0, 0, 0), "finit_module": (0, 0, 0), "kexec_load": (0, 0, 0, 0), "bpf": (5, 0, 0), "perf_event_open": (0, 0, -1, -1, 0), "add_key": (0, 0, 0, 0, 0), "swapon": (0, 0), "settimeofday": (ctypes.byref(now), 0)}
def trying(name, args): return lambda: call("syscall", NUMBERS[name], *args)
answers = [refused(name, trying(name, args)) for name, args in calls.items()]
held("; ".join(answers))`,
  },
  {
    name: "another kernel",
    aim: "talk to the host's kernel directly",
    python: `
with open("/proc/version") as file: version = file.read().strip()
held(version) if "gVisor" in os.popen("dmesg 2>/dev/null").read() or version.startswith("Linux version 4.4.0") else broken("this looks like a host's kernel: " + version)`,
  },
  {
    name: "credentials",
    aim: "find credentials in the environment",
    python: `
found = [name for name in os.environ if any(w in name.upper() for w in ("SALLYPORT", "TOKEN", "SECRET", "PASSWORD", "AWS_", "KEY"))]
broken("in the environment: " + ", ".join(found)) if found else held("%d variables, none tells anything" % len(os.environ))`,
  },
];
