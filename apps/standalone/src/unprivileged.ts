// How root starts a program as one of the system users: the one place that gives privilege away.

/** As a user with its own group and nothing else: no capability can be had, none regained by a set-user-id program. */
export function unprivileged(user: string, argv: readonly string[]): [string, ...string[]] {
  return [
    // A core would have keys in it.
    "prlimit",
    "--core=0",
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
