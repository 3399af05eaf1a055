// A workspace of a test file's own on the run's platform, and what only the platform's files tell.
import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { AdminServiceClient, callUnary } from "@sallyport/contracts/grpc";
import { Client } from "@sallyport/sdk";
import { inject } from "vitest";

export interface Workspace {
  readonly name: string;
  readonly client: Client;
  readonly token: string;
  readonly url: string;
}

/** A client of a new workspace of the run's platform, with its token. */
export async function newWorkspace(label: string): Promise<Workspace> {
  const socket = join(inject("home"), "run/api/operator/operator.sock");
  const admin = new AdminServiceClient(`unix:${socket}`, credentials.createInsecure());
  try {
    const name = `${label}-${randomBytes(3).toString("hex")}`;
    await callUnary(admin, admin.createWorkspace, { name });
    const { secret } = await callUnary(admin, admin.createApiToken, { workspaceName: name, name: "e2e" });
    const url = inject("apiUrl");
    return { name, client: new Client({ url, token: secret }), token: secret, url };
  } finally {
    admin.close();
  }
}

/** The instance of a sandbox, from the worker's journal: no public call names it. */
export async function instanceOf(sandboxId: string): Promise<string> {
  const directory = join(inject("home"), "worker/instances");
  for (const name of await readdir(directory)) {
    if (!name.endsWith(".json")) continue;
    const record = JSON.parse(await readFile(join(directory, name), "utf8")) as Record<string, unknown>;
    if (record["sandboxId"] === sandboxId) return String(record["instanceId"]);
  }
  throw new Error("no such instance");
}
