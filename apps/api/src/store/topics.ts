// What may be waited for: each change wakes those who wait for its topic, in every api process.

/** The state of one sandbox has moved. */
export function sandboxTopic(sandboxId: string): string {
  return `sandbox ${sandboxId}`;
}

/** What is wished of one worker has changed, or another stream of it has begun. */
export function workerTopic(workerId: string): string {
  return `worker ${workerId}`;
}

/** An image has moved on, or its log has. */
export function imageTopic(imageId: string): string {
  return `image ${imageId}`;
}

/** The set of signing keys has changed. */
export const KEYS_TOPIC = "keys";

/** A machine's own addresses have changed. */
export const FLEET_TOPIC = "fleet";

/** What edges are told has a newer number. The triggers of migrations/0005-connect-tokens.ts name it too. */
export const ROUTES_TOPIC = "routes";

/** An edge acts on another number than before. */
export const EDGES_TOPIC = "edges";
