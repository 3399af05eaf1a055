// Credentials of registries: kept sealed, opened only for the worker that pulls.
import { AppError, invalidArgument } from "@sallyport/appkit/errors";
import { DEFAULT_REGISTRY, isRegistryName } from "@sallyport/contracts/images";
import { IMAGE_LIMITS } from "../domain/image.ts";
import { hasControlCharacters } from "../domain/names.ts";
import { inTransaction } from "../store/database.ts";
import type { RegistryCredentialRow } from "../store/registry-credentials.ts";
import { deleteCredential, findCredential, listCredentials, putCredential } from "../store/registry-credentials.ts";
import type { ServiceDeps } from "./deps.ts";

const MAX_USERNAME_BYTES = 255;
/** Tokens of some clouds' registries are long. */
const MAX_PASSWORD_BYTES = 16 * 1024;

export async function setCredential(
  workspaceId: string,
  deps: ServiceDeps,
  input: { readonly registry: string; readonly username: string; readonly password: string },
): Promise<RegistryCredentialRow> {
  const registry = checkRegistry(input.registry);
  checkText("username", input.username, MAX_USERNAME_BYTES);
  checkText("password", input.password, MAX_PASSWORD_BYTES);
  if (input.username.includes(":")) throw invalidArgument("username", "must hold no colon");
  const sealedPassword = deps.master.seal(Buffer.from(input.password), contextOf(workspaceId, registry));
  return inTransaction(deps.db, async (tx) => {
    const known = await listCredentials(workspaceId, tx);
    if (known.length >= IMAGE_LIMITS.registryCredentials && !known.some((row) => row.registry === registry)) {
      throw new AppError(
        "ResourceExhausted",
        `a workspace has at most ${IMAGE_LIMITS.registryCredentials} credentials`,
        {
          hint: "delete those of other registries",
        },
      );
    }
    const { username } = input;
    return putCredential(workspaceId, tx, { registry, username, masterKeyId: deps.master.id, sealedPassword });
  });
}

export function getCredentials(workspaceId: string, deps: ServiceDeps): Promise<RegistryCredentialRow[]> {
  return listCredentials(workspaceId, deps.db);
}

export async function removeCredential(workspaceId: string, deps: ServiceDeps, name: string): Promise<void> {
  const registry = checkRegistry(name);
  if (await deleteCredential(workspaceId, deps.db, registry)) return;
  throw new AppError("NotFound", `there is no credential for ${registry}`, { field: "registry" });
}

/** For a worker; undefined where there is none, or none that this api can open. */
export async function openCredential(
  workspaceId: string,
  deps: ServiceDeps,
  registry: string,
): Promise<{ readonly username: string; readonly password: string } | undefined> {
  const sealed = await findCredential(workspaceId, deps.db, registry);
  if (sealed === undefined || sealed.masterKeyId !== deps.master.id) return undefined;
  const password = deps.master.open(sealed.sealedPassword, contextOf(workspaceId, registry)).toString("utf8");
  return { username: sealed.username, password };
}

/** A sealed password that is moved to another row does not open there. */
function contextOf(workspaceId: string, registry: string): string {
  return `registry credential ${workspaceId} ${registry}`;
}

function checkRegistry(name: string): string {
  const registry = name === "index.docker.io" ? DEFAULT_REGISTRY : name;
  if (isRegistryName(registry)) return registry;
  throw invalidArgument("registry", "must be a host, with its port unless that is 443", 'e.g. "registry.example.com"');
}

function checkText(field: string, text: string, maxBytes: number): void {
  if (text === "") throw invalidArgument(field, "must not be empty");
  if (Buffer.byteLength(text) > maxBytes) throw invalidArgument(field, `must have at most ${maxBytes} bytes`);
  if (hasControlCharacters(text)) throw invalidArgument(field, "must hold no control character");
}
