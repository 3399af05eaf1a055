// Waiting for something that nobody announces.

/** Resolves when it is true, or the time is over. */
export async function until(condition: () => boolean, ms: number): Promise<void> {
  const endsAt = Date.now() + ms;
  while (!condition() && Date.now() < endsAt) await new Promise((resolve) => setTimeout(resolve, 5));
}
