import { ConnectTokenError } from "../src/errors.ts";

/** The error of what must be refused. */
export async function failure(act: () => unknown): Promise<ConnectTokenError> {
  try {
    await act();
  } catch (error) {
    if (error instanceof ConnectTokenError) return error;
    throw error;
  }
  throw new Error("was accepted");
}

/** Its code. */
export async function codeOf(act: () => unknown): Promise<string> {
  return (await failure(act)).code;
}
