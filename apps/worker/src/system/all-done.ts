// Waiting for several things that must not be left half done.

/** Like Promise.all, but settles only when every one has: nothing is under way any more when it rejects. */
export async function allDone(promises: readonly (Promise<unknown> | undefined)[]): Promise<void> {
  const results = await Promise.allSettled(promises.filter((promise) => promise !== undefined));
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
