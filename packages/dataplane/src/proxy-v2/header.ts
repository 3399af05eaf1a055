// What a header says.

/** One end of a TCP connection. */
export interface Endpoint {
  /** IPv4 or IPv6 in its shortest form, without a zone; an IPv4 address inside an IPv6 one is written as IPv4. */
  readonly address: string;
  readonly port: number;
}

/** What a header says of its connection. */
export type ProxyHeader =
  /** It is the sender's own, a health check for instance: its addresses are those of the socket. */
  | { readonly kind: "local" }
  /** It is handed on, but where it came from the sender cannot say. */
  | { readonly kind: "unspec" }
  /** It is handed on from a client at `source`, who connected to `destination`. */
  | { readonly kind: "tcp"; readonly source: Endpoint; readonly destination: Endpoint };
