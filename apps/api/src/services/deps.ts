// What use-cases are given: wired once in app.ts, replaced at will in tests.
import type { Clock } from "@sallyport/appkit/clock";
import type { PortRange } from "../domain/declared-port.ts";
import type { Db } from "../store/database.ts";
import type { BuildContexts } from "./build-contexts.ts";
import type { ConnectKeys } from "./connect-keys.ts";
import type { IoTokens } from "./io-tokens.ts";
import type { LocalAuthority } from "./local-authority.ts";
import type { MasterKey } from "./master-key.ts";
import type { Turnstile } from "./turnstile.ts";
import type { WakeHub } from "./wake-hub.ts";
import type { Acknowledgements } from "./watch-routes.ts";

/** Where sandboxes are reached by connect tokens: `https://<sandbox id>.<domain>:<port>`. */
interface ConnectAddress {
  readonly domain: string;
  readonly port: number;
}

/** Where declared ports are reached: `https://<label>.<domain>:<port>`, raw ones at `rawHost` besides. */
export interface TunnelAddress {
  readonly domain: string;
  readonly port: number;
  readonly rawHost: string;
  /** Undefined: raw ports are not offered. */
  readonly rawPorts: PortRange | undefined;
  /** The most of them that one workspace has at a time, those among them that rest. */
  readonly rawPortsPerWorkspace: number;
  /** How long a raw port rests after its sandbox's end. */
  readonly rawRestMs: number;
}

export interface ServiceDeps {
  readonly db: Db;
  readonly hub: WakeHub;
  /** Where creates queue for the database. */
  readonly creates: Turnstile;
  readonly clock: Clock;
  readonly ioTokens: IoTokens;
  readonly pageTokenKey: Uint8Array;
  /** Seals what is kept secret. */
  readonly master: Pick<MasterKey, "id" | "seal" | "open">;
  readonly contexts: BuildContexts;
  readonly platformId: string;
  readonly connect: ConnectAddress;
  readonly connectKeys: ConnectKeys;
  /** Of the connect domain. */
  readonly authority: LocalAuthority;
  readonly tunnels: TunnelAddress;
  /** Of the tunnel domain; the same one where that is the connect domain. */
  readonly tunnelAuthority: LocalAuthority;
  readonly acknowledgements: Acknowledgements;
}
