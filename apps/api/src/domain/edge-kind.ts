// Kinds of edges.

/** What an edge serves: connect tokens, or tunnels. */
export type EdgeKind = "connect" | "tunnel";
