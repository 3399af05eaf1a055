// The names of @sallyport/cli: for programs that run its commands within themselves, as tests do.

export { runCli } from "./cli.ts";
export type { CliContext, TerminalIn, TerminalOut } from "./context.ts";
