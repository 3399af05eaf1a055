// One platform and one set of target hosts for the whole run; each test file makes a workspace of its own.
import { fromZone, startDnsServer } from "@sallyport/testkit/dns-server";
import { startPlatform } from "@sallyport/testkit/platform";
import type { TestRegistry } from "@sallyport/testkit/registry";
import { startTestRegistry } from "@sallyport/testkit/registry";
import type { TargetNetwork } from "@sallyport/testkit/target-network";
import { startTargetNetwork } from "@sallyport/testkit/target-network";
import type { TestProject } from "vitest/node";
import { startFarResolver, worldZone } from "./names.ts";

/** What test files inject. */
type Targets = Omit<TargetNetwork, "namespace" | typeof Symbol.asyncDispose>;

type Registry = Omit<TestRegistry, typeof Symbol.asyncDispose>;

const REGISTRY_PORT = 5_000;

declare module "vitest" {
  export interface ProvidedContext {
    home: string;
    apiUrl: string;
    restUrl: string;
    targets: Targets;
    registry: Registry;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const stack = new AsyncDisposableStack();
  const targets = stack.use(await startTargetNetwork());
  try {
    const place = { namespace: targets.namespace, address: targets.insideIpv4, port: REGISTRY_PORT };
    const { name, privateName, username, password } = stack.use(await startTestRegistry(place));
    project.provide("registry", { name, privateName, username, password });
    stack.use(await startFarResolver(targets));
    const names = stack.use(await startDnsServer({ respond: fromZone(worldZone(targets)) }));
    const env = { SALLYPORT_INSECURE_REGISTRIES: `${name},${privateName}`, SALLYPORT_DNS_UPSTREAM: names.address };
    const platform = stack.use(await startPlatform({ env }));
    project.provide("home", platform.home);
    project.provide("apiUrl", platform.apiUrl);
    project.provide("restUrl", platform.restUrl);
    const { namespace: _, ...addresses } = targets;
    project.provide("targets", { ...addresses });
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
  return () => stack.disposeAsync();
}
