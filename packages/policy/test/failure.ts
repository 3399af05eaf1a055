import { PolicyError } from "../src/index.ts";

/** The error of what must be refused. */
export function failure(act: () => unknown): PolicyError {
  try {
    act();
  } catch (error) {
    if (error instanceof PolicyError) return error;
    throw error;
  }
  throw new Error("was accepted");
}
