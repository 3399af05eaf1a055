// The kinds of caller, in words; proto/sallyport/v1/options.proto says what each is.

/** Who is calling, as proven by the listener and the credentials of the call. */
export type PrincipalKind = "workspace" | "operator" | "worker" | "gateway" | "io_grant" | "edge";
