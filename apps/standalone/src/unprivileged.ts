// How root starts a program as one of the system users: the one place that gives privilege away.

export interface UnprivilegedOptions {
  /** Files and sockets that it may have open. As many as the supervisor when unset. */
  readonly descriptors?: number;
}

/** As a user with its own groups and nothing else: no capability can be had, none regained by a set-user-id program. */
export function unprivileged(
  user: string,
  argv: readonly string[],
  { descriptors }: UnprivilegedOptions = {},
): [string, ...string[]] {
  return [
    // A core would have keys in it.
    "prlimit",
    "--core=0",
    ...(descriptors === undefined ? [] : [`--nofile=${descriptors}:${descriptors}`]),
    "setpriv",
    `--reuid=${user}`,
    `--regid=${user}`,
    "--init-groups",
    "--no-new-privs",
    "--bounding-set=-all",
    "--inh-caps=-all",
    ...argv,
  ];
}
