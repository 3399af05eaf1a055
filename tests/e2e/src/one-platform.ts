// One platform and one set of target hosts for the whole run; each test file makes a workspace of its own.
import { startPlatform } from "@sallyport/testkit/platform";
import type { TargetNetwork } from "@sallyport/testkit/target-network";
import { startTargetNetwork } from "@sallyport/testkit/target-network";
import type { TestProject } from "vitest/node";

/** What test files inject. */
type Targets = Omit<TargetNetwork, "namespace" | typeof Symbol.asyncDispose>;

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
