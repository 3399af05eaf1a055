// The guard of the machine's own network: a sandbox that would be in it is refused. It stands by itself, since runsc's
// own guard is off where /proc/sys/net has to be hidden from it. What cannot be looked at is refused too.
import { stat } from "node:fs/promises";
import { RuntimeError } from "../runtime.ts";

const OWN_NETWORK = "/proc/self/ns/net";

/** Throws RuntimeError "RootNetwork" unless a namespace file names another network than PID 1's and our own. */
export async function refuseRootNetwork(namespacePath: string): Promise<void> {
  const [sandbox, root, own] = await Promise.all([
    namespaceOf(namespacePath),
    rootNamespace(),
    namespaceOf(OWN_NETWORK),
  ]);
  if (sandbox === root || sandbox === own) {
    throw new RuntimeError("RootNetwork", `${namespacePath} is the machine's own network: nothing is started in it`);
  }
}

/** Throws as above, and where a process is in another network than the one that was asked for. */
export async function refuseOtherNetwork(pid: number, namespacePath: string): Promise<void> {
  const path = `/proc/${pid}/ns/net`;
  await refuseRootNetwork(path);
  if ((await namespaceOf(path)) !== (await namespaceOf(namespacePath))) {
    throw new RuntimeError("RootNetwork", `the sandbox is not in the network of its slot (${namespacePath})`);
  }
}

/**
 * PID 1's network. Where PID 1 has a capability that we lack, the kernel hides its namespaces; its network is then known
 * to be ours by /proc/PID/net, whose files have numbers of their own in each network namespace.
 */
async function rootNamespace(): Promise<string> {
  try {
    return await identityOf("/proc/1/ns/net");
  } catch (error) {
    const [root, own] = await Promise.all([identityOf("/proc/1/net/dev"), identityOf("/proc/self/net/dev")]);
    if (root === own) return namespaceOf(OWN_NETWORK);
    throw new RuntimeError("RootNetwork", "the machine's own network cannot be told from others", error);
  }
}

async function namespaceOf(path: string): Promise<string> {
  try {
    return await identityOf(path);
  } catch (error) {
    throw new RuntimeError("RootNetwork", `the network ${path} cannot be looked at`, error);
  }
}

async function identityOf(path: string): Promise<string> {
  const { dev, ino } = await stat(path, { bigint: true });
  return `${dev}:${ino}`;
}
