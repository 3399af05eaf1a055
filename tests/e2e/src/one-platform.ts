// One platform and one set of target hosts for the whole run; each test file makes a workspace of its own.
import { startPlatform } from "@sallyport/testkit/platform";
import { startTargetNetwork } from "@sallyport/testkit/target-network";
import type { TestProject } from "vitest/node";

/** What test files inject. */
export interface Targets {
  readonly insideIpv4: string;
  readonly outsideIpv4: string;
  readonly allowedIpv4: string;
  readonly insideIpv6: string;
  readonly outsideIpv6: string;
  readonly allowedIpv6: string;
  readonly hostIpv4: string;
  readonly hostIpv6: string;
  readonly port: number;
}

declare module "vitest" {
  export interface ProvidedContext {
    home: string;
    apiUrl: string;
    targets: Targets;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const stack = new AsyncDisposableStack();
  const targets = stack.use(await startTargetNetwork());
  try {
    const platform = stack.use(await startPlatform());
    project.provide("home", platform.home);
    project.provide("apiUrl", platform.apiUrl);
    const { namespace: _, ...addresses } = targets;
    project.provide("targets", { ...addresses });
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
  return () => stack.disposeAsync();
}
