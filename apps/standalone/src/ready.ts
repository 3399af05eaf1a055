// When a platform is of use: its api knows a worker, so that a create right after `up` finds a place.
import { credentials } from "@grpc/grpc-js";
import { systemClock } from "@sallyport/appkit/clock";
import { AdminServiceClient, callUnary } from "@sallyport/contracts/grpc";

const DEADLINE_MS = 20_000;

/** Resolves when a worker is connected to the api. Rejects after 20 s, or when aborted. */
export async function workerConnected(operatorSocket: string, signal: AbortSignal): Promise<void> {
  const admin = new AdminServiceClient(`unix:${operatorSocket}`, credentials.createInsecure());
  const deadline = systemClock.monotonicMs() + DEADLINE_MS;
  try {
    for (;;) {
      const { workers } = await callUnary(admin, admin.getPlatformStatus, {}, { signal, timeoutMs: 5_000 });
      if (workers.some((worker) => worker.connected)) return;
      if (systemClock.monotonicMs() > deadline) throw new Error("the worker did not reach the api; see its log");
      await systemClock.sleep(25, signal);
    }
  } finally {
    admin.close();
  }
}
