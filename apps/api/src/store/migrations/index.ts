// The migrations in order. Each is expand or contract alone: the release before must work with the schema of this one.
import type { Migration } from "kysely/migration";
import { up as foundation } from "./0001-foundation.ts";
import { up as lifeCycle } from "./0002-life-cycle.ts";
import { up as images } from "./0003-images.ts";
import { up as networkPolicy } from "./0004-network-policy.ts";
import { up as connectTokens } from "./0005-connect-tokens.ts";
import { up as tunnels } from "./0006-tunnels.ts";
import { up as holdersOfPublicPorts } from "./0007-holders-of-public-ports.ts";

export const MIGRATIONS: Readonly<Record<string, Migration>> = {
  "0001-foundation": { up: foundation },
  "0002-life-cycle": { up: lifeCycle },
  "0003-images": { up: images },
  "0004-network-policy": { up: networkPolicy },
  "0005-connect-tokens": { up: connectTokens },
  "0006-tunnels": { up: tunnels },
  "0007-holders-of-public-ports": { up: holdersOfPublicPorts },
};
