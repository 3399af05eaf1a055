// Ports that a create declares, and the public addresses that they get.
import { randomBytes } from "node:crypto";
import { TUNNEL_LABEL_PREFIX } from "@sallyport/contracts";

/** `tls`: TLS, ended at the edge. `h2`: the same with HTTP/2. `raw`: TCP at a public port, and as `tls` besides. */
export type PortKind = "tls" | "h2" | "raw";

export interface DeclaredPort {
  /** In the sandbox. */
  readonly port: number;
  readonly kind: PortKind;
  /** Its connections begin with a PROXY v2 header. */
  readonly proxyProtocol: boolean;
}

/** A declared port with its public address. */
export interface Tunnel extends DeclaredPort {
  /** Of its host below the tunnel domain. */
  readonly label: string;
  /** Of a raw port. */
  readonly publicPort?: number | undefined;
}

/** Public ports that raw ones are given out of, inclusive. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const LABEL_CHARACTERS = 26;

/** Nobody can guess it: five random bits a character. */
export function newTunnelLabel(): string {
  const characters = [...randomBytes(LABEL_CHARACTERS)].map((byte) => ALPHABET.charAt(byte & 31));
  return TUNNEL_LABEL_PREFIX + characters.join("");
}
