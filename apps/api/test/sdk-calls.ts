// The calls of the SDK that the api answers, as rows for bad input: which option each field of proto/ is.
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  AllowRule,
  CallOptions,
  CreateOptions,
  Json,
  NetworkPolicy,
  Sandbox as SandboxHandle,
} from "@sallyport/sdk";
import { App, Image, Registry, Sandbox } from "@sallyport/sdk";
import type { SdkCall, TypedRequest } from "@sallyport/testkit/bad-input";

/** Everything that calls are made with. */
export interface SdkWorld {
  readonly client: CallOptions["client"];
  readonly sandbox: SandboxHandle;
}

const HANDLE = "the handle's";
const SDK = "made by the SDK";
const PAGES = { page_size: SDK, page_token: SDK };
const DOCKERFILE = {
  "source.dockerfile.context_size": "of the directory",
  "source.dockerfile.context_sha256": "of the directory",
};

const SERVICE = "/sallyport.v1.SandboxService";

export function sdkCalls({ client, sandbox }: SdkWorld): readonly SdkCall[] {
  // What is legal and waits for what never comes is given up.
  const options = { client, timeoutMs: 1_000 };
  return [
    {
      name: "Sandbox.create",
      method: `${SERVICE}/CreateSandbox`,
      options: CREATE_OPTIONS,
      own: CREATE_OWN,
      base: () => ({ command: { argv: ["true"] } }),
      send: (request) => create(request, { ...options, ...createOptions(request) }),
    },
    {
      name: "Sandbox.create, by the seed's names",
      method: `${SERVICE}/CreateSandbox`,
      options: { network: "outboundCidrAllowlist" },
      own: {
        ...CREATE_OWN,
        ...Object.fromEntries(Object.keys(CREATE_OPTIONS).map((name) => [name, "as above"])),
        "network.open": "as above",
        "network.blocked": "as above",
        "network.allow.rules": "has texts alone",
      },
      base: () => ({}),
      send: (request) => {
        const allow = partOf(partOf(request["network"], "allow"), "cidrs") ?? request["network"];
        return Sandbox.create({ ...options, outboundCidrAllowlist: allow as readonly string[] });
      },
    },
    {
      name: "Sandbox.fromId",
      method: `${SERVICE}/GetSandbox`,
      options: { sandbox_id: "id" },
      own: {},
      base: () => ({ sandboxId: sandbox.id }),
      send: ({ sandboxId }) => Sandbox.fromId(sandboxId as string, options),
    },
    {
      name: "Sandbox.fromName",
      method: `${SERVICE}/GetSandboxByName`,
      options: { app_name: "app", name: "name" },
      own: {},
      base: () => ({ appName: "default", name: "odd" }),
      send: ({ appName, name }) => Sandbox.fromName(appName as string, name as string, options),
    },
    {
      name: "Sandbox.list",
      method: `${SERVICE}/ListSandboxes`,
      options: { app_name: "app", name: "name", tags: "tags", include_ended: "includeEnded" },
      own: PAGES,
      base: () => ({}),
      send: ({ appName, ...rest }) => first(Sandbox.list({ ...options, ...rest, app: appName as string })),
    },
    {
      name: "Sandbox.tunnels",
      method: `${SERVICE}/ListTunnels`,
      options: {},
      own: { sandbox_id: HANDLE, wait_ms: SDK },
      base: () => ({}),
      send: () => Promise.resolve(),
    },
    ...["WaitSandbox", "TerminateSandbox", "SleepSandbox", "WakeSandbox"].map((name) => ({
      name,
      method: `${SERVICE}/${name}`,
      options: {},
      own: { sandbox_id: HANDLE, wait_ms: SDK },
      base: () => ({}),
      send: () => Promise.resolve(),
    })),
    {
      name: "Sandbox.exec",
      method: `${SERVICE}/GetIoAccess`,
      options: {},
      own: { sandbox_id: HANDLE },
      base: () => ({}),
      send: () => Promise.resolve(),
    },
    {
      name: "Sandbox.setTags",
      method: `${SERVICE}/SetSandboxTags`,
      options: { tags: "tags" },
      own: { sandbox_id: HANDLE },
      base: () => ({ tags: {} }),
      send: ({ tags }) => sandbox.setTags(tags as Record<string, string>, options),
    },
    {
      name: "Sandbox.events",
      method: `${SERVICE}/WatchSandboxEvents`,
      options: { after_seq: "afterSeq", follow: "follow" },
      own: { sandbox_id: HANDLE },
      base: () => ({}),
      send: (request) => first(sandbox.events({ ...options, ...request })),
    },
    {
      name: "Sandbox.updateNetworkPolicy",
      method: `${SERVICE}/UpdateNetworkPolicy`,
      options: { network: "network" },
      own: { sandbox_id: HANDLE },
      base: () => ({ network: { open: {} } }),
      send: ({ network }) => sandbox.updateNetworkPolicy(policyOf(network) as NetworkPolicy, options),
    },
    {
      name: "Sandbox.explain",
      method: `${SERVICE}/ExplainDestination`,
      options: { destination: "destination" },
      own: { sandbox_id: HANDLE },
      base: () => ({ destination: "198.51.100.7:443" }),
      send: ({ destination }) => sandbox.explain(destination as string, options),
    },
    ...connectCalls(sandbox, options),
    {
      name: "Sandbox.createConnectToken",
      method: `${SERVICE}/CreateConnectToken`,
      options: { user_metadata: "userMetadata", port: "port", expires_in_ms: "expiresInMs", embed: "embed" },
      own: { sandbox_id: HANDLE },
      base: () => ({}),
      send: ({ userMetadata, ...rest }) =>
        sandbox.createConnectToken({ ...options, ...rest, userMetadata: userMetadata as Json }),
    },
    {
      name: "Sandbox.revokeConnectToken",
      method: `${SERVICE}/RevokeConnectToken`,
      options: { token_id: "id" },
      own: { sandbox_id: HANDLE },
      base: () => ({ tokenId: "ct-01jd0000000000000000000000" }),
      send: ({ tokenId }) => sandbox.revokeConnectToken(tokenId as string, options),
    },
    ...["ListConnectTokens", "RevokeConnectTokens"].map((name) => ({
      name,
      method: `${SERVICE}/${name}`,
      options: {},
      own: { sandbox_id: HANDLE },
      base: () => ({}),
      send: () => Promise.resolve(),
    })),
    {
      name: "Client.localAuthority",
      method: "/sallyport.v1.AdminService/GetLocalAuthority",
      options: {},
      own: {},
      base: () => ({}),
      send: () => Promise.resolve(),
    },
    {
      name: "App.lookup",
      method: "/sallyport.v1.AppService/LookupApp",
      options: { name: "name", create_if_missing: "createIfMissing" },
      own: {},
      base: () => ({ name: "odd" }),
      send: ({ name, ...rest }) => App.lookup(name as string, { ...options, ...rest }),
    },
    {
      name: "Client.usage",
      method: "/sallyport.v1.WorkspaceService/GetUsage",
      options: {},
      own: {},
      base: () => ({}),
      send: () => Promise.resolve(),
    },
    ...imageCalls(options),
  ];
}

function connectCalls(sandbox: SandboxHandle, options: CallOptions): SdkCall[] {
  const none = (name: string, method: string, own: Record<string, string>): SdkCall => ({
    name,
    method,
    options: {},
    own,
    base: () => ({}),
    send: () => Promise.resolve(),
  });
  return [
    {
      name: "Sandbox.createConnectToken",
      method: `${SERVICE}/CreateConnectToken`,
      options: { user_metadata: "userMetadata", port: "port", expires_in_ms: "expiresInMs", embed: "embed" },
      own: { sandbox_id: HANDLE },
      base: () => ({ userMetadata: { user_id: "foo" } }),
      send: (request) => sandbox.createConnectToken({ ...options, ...request }),
    },
    none("Sandbox.connectTokens", `${SERVICE}/ListConnectTokens`, { sandbox_id: HANDLE }),
    {
      name: "Sandbox.revokeConnectToken",
      method: `${SERVICE}/RevokeConnectToken`,
      options: { token_id: "id" },
      own: { sandbox_id: HANDLE },
      base: () => ({ tokenId: "ct-01jd0000000000000000000000" }),
      send: ({ tokenId }) => sandbox.revokeConnectToken(tokenId as string, options),
    },
    none("Sandbox.revokeConnectTokens", `${SERVICE}/RevokeConnectTokens`, { sandbox_id: HANDLE }),
    none("Client.localAuthority", "/sallyport.v1.AdminService/GetLocalAuthority", {}),
  ];
}

function imageCalls(options: CallOptions): SdkCall[] {
  let serial = 0;
  const nextSerial = () => {
    serial += 1;
    return serial;
  };
  const service = "/sallyport.v1.ImageService";
  const none = (name: string, own: Record<string, string>): SdkCall => ({
    name,
    method: `${service}/${name}`,
    options: {},
    own,
    base: () => ({}),
    send: () => Promise.resolve(),
  });
  const byId = (name: string, method: string, call: (id: string) => Promise<unknown>): SdkCall => ({
    name,
    method: `${service}/${method}`,
    options: { image_id: "id" },
    own: {},
    base: () => ({ imageId: "im-01jd0000000000000000000000" }),
    send: ({ imageId }) => call(imageId as string),
  });
  return [
    {
      name: "Image.build",
      method: `${service}/CreateImage`,
      options: { source: ["image", "path"], force: "force" },
      own: DOCKERFILE,
      base: () => ({ source: { registryReference: `registry.invalid/odd:${nextSerial()}` } }),
      send: async ({ source, ...rest }) => (await imageOf(source)).build({ ...options, timeoutMs: 200, ...rest }),
    },
    byId("Image.fromId", "GetImage", (id) => Image.fromId(id, options)),
    byId("Image.delete", "DeleteImage", (id) => Image.delete(id, options)),
    none("ListImages", PAGES),
    none("PutBuildContext", { image_id: SDK, offset: SDK, data: "of the directory" }),
    none("WatchImage", { image_id: SDK, offset: SDK }),
    none("CancelImage", { image_id: SDK }),
    {
      name: "Registry.login",
      method: `${service}/SetRegistryCredential`,
      options: { registry: "registry", username: "username", password: "password" },
      own: {},
      base: () => ({ registry: "registry.invalid", username: "odd", password: "odd" }),
      send: ({ registry, username, password }) => {
        const credential = { username: username as string, password: password as string };
        return Registry.login(registry as string, credential, options);
      },
    },
    none("ListRegistryCredentials", {}),
    {
      name: "Registry.logout",
      method: `${service}/DeleteRegistryCredential`,
      options: { registry: "registry" },
      own: {},
      base: () => ({ registry: "registry.invalid" }),
      send: ({ registry }) => Registry.logout(registry as string, options),
    },
  ];
}

const CREATE_OPTIONS: SdkCall["options"] = {
  app_name: "app",
  image: "image",
  command: "command",
  env: "env",
  workdir: "workdir",
  lifetime_ms: "lifetimeMs",
  cpu_millis: "cpu",
  memory_mib: "memoryMiB",
  network: "network",
  pty: "pty",
  name: "name",
  tags: "tags",
  idle_timeout_ms: "idleTimeoutMs",
  sleep_after_ms: "sleepAfterMs",
  disk_mib: "diskMiB",
  dns: ["dns", "network"],
  encrypted_ports: "encryptedPorts",
  h2_ports: "h2Ports",
  unencrypted_ports: "unencryptedPorts",
  proxy_protocol_ports: "proxyProtocolPorts",
  inbound_cidr_allowlist: "inboundCidrAllowlist",
};

const CREATE_OWN: SdkCall["own"] = { idempotency_key: SDK, wait_ms: "the call's own deadline" };

function createOptions(request: TypedRequest): CreateOptions {
  const { appName, cpuMillis, memoryMib, diskMib, network, inboundCidrAllowlist, ...others } = request;
  const { command: _, waitMs: __, ...rest } = others;
  const named = {
    ...rest,
    app: appName,
    cpu: typeof cpuMillis === "number" ? cpuMillis / 1_000 : cpuMillis,
    memoryMiB: memoryMib,
    diskMiB: diskMib,
    inboundCidrAllowlist: partOf(inboundCidrAllowlist, "cidrs") ?? inboundCidrAllowlist,
    // Resolvers are for an allow list.
    network: "dns" in request ? { allow: ["0.0.0.0/0", "::/0"] } : policyOf(network),
  };
  return named as CreateOptions;
}

function create(request: TypedRequest, options: CreateOptions): Promise<unknown> {
  const command = partOf(request["command"], "argv") ?? request["command"];
  return Sandbox.create(command as readonly string[], options);
}

/** A policy as it stands in a request → as the SDK takes it; anything else as it is. */
function policyOf(network: unknown): unknown {
  const allow = partOf(network, "allow");
  if (allow === undefined) return partOf(network, "open") !== undefined ? "open" : network;
  const { cidrs = [], rules = [] } = allow as { cidrs?: readonly string[]; rules?: readonly TypedRequest[] };
  return { allow: [...cidrs, ...rules.map(ruleOf)] };
}

function ruleOf({ cidr, ports }: TypedRequest): AllowRule {
  const ranges = (ports ?? [{ first: 443, last: 443 }]) as readonly { first: number; last: number }[];
  return { cidr: cidr as string, protocol: "tcp", ports: ranges.map(({ first, last }) => [first, last]) };
}

async function imageOf(source: unknown): Promise<Image> {
  const dockerfile = partOf(partOf(source, "dockerfile"), "dockerfile");
  if (dockerfile === undefined) return Image.fromRegistry((partOf(source, "registryReference") ?? source) as string);
  const path = join(await mkdtemp(join(tmpdir(), "sallyport-odd-")), "Dockerfile");
  await writeFile(path, dockerfile as string);
  return Image.fromDockerfile(path);
}

function partOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as TypedRequest)[name];
}

/** The first of a stream, which is then left. */
async function first(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream) return;
}
