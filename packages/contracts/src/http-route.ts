// How a method is called over HTTP.

/** One row of the table that proto/ declares. */
export interface HttpRoute {
  /** The gRPC path, e.g. "/sallyport.v1.SandboxService/GetSandbox". */
  readonly method: string;
  readonly verb: string;
  /** Below the base URL; `{name}` stands for a field of the request, in its proto spelling. */
  readonly path: string;
  /** Answers with server-sent events. */
  readonly serverStream: boolean;
}
