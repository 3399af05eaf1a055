// Where an edge's certificates come from: the operator's files where there are some, the platform's authority otherwise.
import type { Logger } from "@sallyport/appkit/logger";
import type { RouteTable } from "@sallyport/dataplane/routes";
import type { ApiLink } from "./api-link.ts";
import { certificatesFromFiles } from "./certificate-files.ts";
import { CertificateStore } from "./certificate-store.ts";
import type { Certificates } from "./certificates.ts";
import type { ServedHosts } from "./local-certificates.ts";
import { LocalCertificates } from "./local-certificates.ts";
import type { TicketKeys } from "./ticket-keys.ts";

interface EdgeCertificatesOptions {
  /** Files (PEM) of the operator's for `*.<domain>`; undefined: the authority issues one per host. */
  readonly files: { readonly chain: string; readonly key: string } | undefined;
  /** Of the edge's hosts. */
  readonly domain: string;
  /** The setting that names the chain. */
  readonly setting: string;
  readonly hosts: ServedHosts;
  readonly table: RouteTable;
  readonly tickets: TicketKeys;
  readonly link: ApiLink;
  /** Where certificates of the authority are kept. */
  readonly stateDirectory: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly logger: Logger;
}

/** Throws when files are named that are not there, do not belong together, or are not for hosts of the domain. */
export function edgeCertificates(options: EdgeCertificatesOptions): Certificates {
  const { domain, files, hosts, link, logger, now, setting, stateDirectory, table, tickets } = options;
  if (files !== undefined) {
    return certificatesFromFiles({
      ...files,
      domain,
      setting,
      isKnown: (host) => hosts.isKnown(host),
      tickets,
      logger,
    });
  }
  const store = new CertificateStore({ stateDirectory, logger });
  return new LocalCertificates({ store, client: link.client, edgeId: link.edgeId, hosts, table, now, tickets, logger });
}
