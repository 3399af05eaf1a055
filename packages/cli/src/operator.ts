// The operator's side of a platform on this machine: AdminService over the operator socket, which root can open.
import { access, constants } from "node:fs/promises";
import { credentials } from "@grpc/grpc-js";
import { fromGrpcError } from "@sallyport/appkit/errors";
import type { GrpcCallOptions } from "@sallyport/contracts/grpc";
import { AdminServiceClient } from "@sallyport/contracts/grpc";
import type { CliContext } from "./context.ts";
import { CliError } from "./errors.ts";
import type { HomeOptions } from "./home.ts";
import { homePaths } from "./home.ts";

const TIMEOUT_MS = 30_000;

/** Calls the operator's service once. Throws AppError from the platform, CliError when there is none to ask. */
export async function asOperator<T>(
  context: CliContext,
  options: HomeOptions,
  call: (admin: AdminServiceClient, options: GrpcCallOptions) => Promise<T>,
): Promise<T> {
  const path = homePaths(context, options).apiOperatorSocket;
  await assertReachable(path);
  const admin = new AdminServiceClient(`unix:${path}`, credentials.createInsecure());
  try {
    return await call(admin, { timeoutMs: TIMEOUT_MS, signal: context.signal });
  } catch (error) {
    throw fromGrpcError(error);
  } finally {
    admin.close();
  }
}

async function assertReachable(path: string): Promise<void> {
  try {
    await access(path, constants.W_OK);
  } catch (error) {
    const denied = error instanceof Error && "code" in error && error.code === "EACCES";
    throw new CliError("Failed", denied ? `${path} is not open to this user` : `no platform answers at ${path}`, {
      hint: denied ? "run it as root" : "`sallyport up` starts one; --home names another",
    });
  }
}
