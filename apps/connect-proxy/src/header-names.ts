// What becomes of a header by its name, looked up rather than worked out: on the hot path the same few names come again.

/** The most names that are remembered; they are the clients' choice, so all are forgotten when there are more. */
const MAX_NAMES = 2_048;
/** Longer names are worked out each time. */
const MAX_NAME_CHARACTERS = 64;

/**
 * A name as the laxest reader sees it: in lower case, and whatever is no letter or digit as a dash, or nothing at its
 * ends. CGI, WSGI and their kin (RFC 3875, section 4.1.18) hand `X-A`, `X_A` and `x.a` to programs under one name.
 */
export function flatName(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
}

/** Remembers what `work` makes of names. */
export function rememberedByName<Fate>(work: (name: string) => Fate): (name: string) => Fate {
  const known = new Map<string, Fate>();
  return (name) => {
    const found = known.get(name);
    if (found !== undefined) return found;
    if (name.length > MAX_NAME_CHARACTERS) return work(name);
    // A copy: a slice would keep alive the whole head that it was cut from.
    const own = Buffer.from(name, "latin1").toString("latin1");
    const fate = work(own);
    if (known.size >= MAX_NAMES) known.clear();
    known.set(own, fate);
    return fate;
  };
}
