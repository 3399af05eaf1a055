// A small internet for root tests, made of namespaces: one plays the host, one everything beyond it.

import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../../src/system/command.ts";
import { Child } from "./child.ts";
import { Capture, Injector } from "./wire.ts";

export const GATEWAY_UID = 64_123;
export const RESOLVER_UID = 64_124;

/** Addresses beyond the host. */
export const FAR = {
  listed4: "198.51.100.10",
  unlisted4: "198.51.100.200",
  listed6: "2001:db8::10",
  unlisted6: "2001:db8::200",
  private4: "10.77.0.10",
  private6: "fd77::10",
  metadata: "169.254.169.254",
} as const;
/** The host's own. */
export const HOST = { ipv4: "198.51.100.1", ipv6: "2001:db8::1", private4: "10.77.0.1", private6: "fd77::1" } as const;

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

export function randomPlatformId(): string {
  return Array.from(randomBytes(26), (byte) => ALPHABET[byte % 32]).join("");
}

/** The built helper; SALLYPORT_NFT names another one. */
export function helperPath(): string {
  const built = fileURLToPath(new URL("../../../init/build/sallyport-nft", import.meta.url));
  const path = process.env["SALLYPORT_NFT"] ?? built;
  if (!existsSync(path)) throw new Error(`${path} is missing: build apps/init first`);
  return path;
}

/** The program that tells what is denied; beside the helper. */
function denialReaderPath(): string {
  return join(dirname(helperPath()), "sallyport-denials");
}

/** The program that opens a resolver's sockets; beside the helper. */
export function resolverSocketsPath(): string {
  return join(dirname(helperPath()), "sallyport-resolver-sockets");
}

export class World implements AsyncDisposable {
  readonly platformId = randomPlatformId();
  readonly hostNetns: string;
  readonly hostPath: string;
  readonly farPath: string;
  readonly farNetns: string;
  readonly directory: string;
  readonly #children: AsyncDisposable[] = [];

  private constructor(directory: string) {
    const name = `tw${randomBytes(4).toString("hex")}`;
    this.directory = directory;
    this.hostNetns = `${name}-host`;
    this.farNetns = `${name}-far`;
    this.hostPath = `/run/netns/${this.hostNetns}`;
    this.farPath = `/run/netns/${this.farNetns}`;
  }

  static async create(): Promise<World> {
    const world = new World(await mkdtemp(join(tmpdir(), "sallyport-network-")));
    await world.#build();
    return world;
  }

  get tag(): string {
    return this.platformId.slice(-8);
  }

  get routerPath(): string {
    return `/run/netns/sp-${this.tag}`;
  }

  get stateDirectory(): string {
    return join(this.directory, "state");
  }

  async #build(): Promise<void> {
    const far = this.farNetns;
    await run(["ip", "netns", "add", this.hostNetns]);
    await run(["ip", "netns", "add", far]);
    await this.inHost("ip", "link", "add", "ext0", "type", "veth", "peer", "name", "ext0", "netns", far);
    await this.inHost("ip", "link", "set", "lo", "up");
    // A new namespace takes this over from the machine's own.
    await this.inHost("sysctl", "-q", "-w", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0");
    await this.inFar("ip", "link", "set", "lo", "up");
    await this.#addresses(this.hostPath, Object.values(HOST));
    await this.#addresses(this.farPath, [
      FAR.listed4,
      FAR.unlisted4,
      FAR.listed6,
      FAR.unlisted6,
      FAR.private4,
      FAR.private6,
    ]);
    await this.inFar("ip", "addr", "add", `${FAR.metadata}/32`, "dev", "ext0");
    await this.inHost("ip", "route", "add", `${FAR.metadata}/32`, "dev", "ext0");
    await this.inHost("ip", "route", "add", "default", "via", FAR.listed4);
    await this.inHost("ip", "route", "add", "::/0", "via", FAR.listed6, "dev", "ext0");
  }

  async #addresses(path: string, addresses: readonly string[]): Promise<void> {
    const lines = addresses.map((address) =>
      address.includes(":") ? `addr add ${address}/64 dev ext0 nodad` : `addr add ${address}/24 dev ext0`,
    );
    await run(["nsenter", `--net=${path}`, "ip", "-batch", "-"], {
      input: ["link set ext0 up", ...lines, ""].join("\n"),
    });
  }

  async inHost(program: string, ...args: string[]): Promise<string> {
    return (await run(["nsenter", `--net=${this.hostPath}`, program, ...args])).stdout;
  }

  async inFar(program: string, ...args: string[]): Promise<string> {
    return (await run(["nsenter", `--net=${this.farPath}`, program, ...args])).stdout;
  }

  async inRouter(program: string, ...args: string[]): Promise<string> {
    return (await run(["nsenter", `--net=${this.routerPath}`, program, ...args])).stdout;
  }

  /** A program of plain sockets in a namespace. */
  agent(netnsPath: string, uid?: number): Child {
    return this.#keep(new Child(netnsPath, "agent.ts", uid === undefined ? [] : [String(uid)]));
  }

  /** What asks at port 53, from a slot's namespace. */
  client(netnsPath: string): Child {
    return this.#keep(new Child(netnsPath, "look-up-client.ts", []));
  }

  /** What answers there, in the host's namespace as the resolver's user. Start the worker first. */
  lookUpServer(): Child {
    const sockets = [resolverSocketsPath(), `--net=${this.routerPath}`, `--uid=${RESOLVER_UID}`, "--"];
    return this.#keep(new Child(this.hostPath, "look-up-server.ts", [String(RESOLVER_UID)], sockets));
  }

  /** A worker's network in the host's namespace, not started yet. */
  worker(overrides: object = {}): Child {
    const options = {
      platformId: this.platformId,
      stateDirectory: this.stateDirectory,
      gatewayUid: GATEWAY_UID,
      helper: helperPath(),
      denialReader: denialReaderPath(),
      forwardingDirectory: join(this.directory, "forwarding"),
      watchIntervalMs: 200,
      ...overrides,
    };
    return this.#keep(new Child(this.hostPath, "worker-child.ts", [JSON.stringify(options)]));
  }

  /** Puts frames on interfaces of a namespace. */
  injector(netnsPath: string): Injector {
    return this.#keep(new Injector(netnsPath));
  }

  /** Records what arrives in a namespace. */
  async capture(netnsPath: string): Promise<Capture> {
    return this.#keep(await Capture.in(netnsPath));
  }

  /** The hardware address of an interface. */
  async hardwareAddress(netnsPath: string, link: string): Promise<string> {
    const { stdout } = await run(["nsenter", `--net=${netnsPath}`, "ip", "-o", "link", "show", "dev", link]);
    return /link\/ether ([0-9a-f:]{17})/.exec(stdout)?.[1] ?? "";
  }

  #keep<T extends AsyncDisposable>(child: T): T {
    this.#children.push(child);
    return child;
  }

  /** Ends what runs, then takes away whatever a failed test left. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) await child[Symbol.asyncDispose]();
    const names = (await run(["ip", "netns", "list"])).stdout.split("\n").map((line) => line.split(" ")[0] ?? "");
    const ours = names.filter((name) => name === `sp-${this.tag}` || name.startsWith(`sp-${this.tag}-`));
    for (const name of [...ours, this.hostNetns, this.farNetns]) await run(["ip", "netns", "del", name]);
    await rm(this.directory, { recursive: true, force: true });
  }
}
