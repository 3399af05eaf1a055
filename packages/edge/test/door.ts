// The door alone, for tests: certificates from an EdgeService that is set by hand, and every connection that comes through
// it told "hello" by its name.
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { silentLogger } from "@sallyport/appkit/logger";
import { EdgeServiceClient } from "@sallyport/contracts/grpc";
import { RouteTable } from "@sallyport/dataplane/routes";
import type { Authority } from "@sallyport/testkit/certificates";
import { makeAuthority } from "@sallyport/testkit/certificates";
import { FakeEdgeService } from "@sallyport/testkit/edge-service";
import { Admission } from "../src/admission.ts";
import { CertificateStore } from "../src/certificate-store.ts";
import type { Certificates } from "../src/certificates.ts";
import type { Answer, SecureConnection, TurnedAway } from "../src/door-answer.ts";
import type { EdgeLimits } from "../src/edge-limits.ts";
import { DEFAULT_EDGE_LIMITS } from "../src/edge-limits.ts";
import { LocalCertificates } from "../src/local-certificates.ts";
import { listenAtOwnSocket } from "../src/own-socket.ts";
import type { TicketKeys } from "../src/ticket-keys.ts";
import type { TlsDoorOptions } from "../src/tls-door.ts";
import { TlsDoor } from "../src/tls-door.ts";

const PLATFORM_ID = "01jd00000000000000000000aa";
export const DOMAIN = "localhost";

/** "sb-01jd…", the same for the same number. */
export function sandbox(number: number): string {
  return `sb-01jd${String(number).padStart(22, "0")}`;
}

function sandboxOf(host: string, domain: string): string | undefined {
  return /^sb-[0-9a-z]{26}$/.exec(host.replace(`.${domain}`, ""))?.[0];
}

/** Hosts of sandboxes below a domain are served, and nothing else. */
function answerFor(domain: string, alpn: readonly string[]): Answer<string> {
  return ({ serverName = "" }) => {
    const sandboxId = serverName.endsWith(`.${domain}`) ? sandboxOf(serverName, domain) : undefined;
    return sandboxId === undefined
      ? { kind: "refuse", reason: "server-name", alert: "unrecognized_name" }
      : { kind: "handshake", way: `to ${sandboxId}`, sandboxId, alpn };
  };
}

export interface TestDoor extends AsyncDisposable {
  readonly port: number;
  /** Of the socket at which every connection begins with a PROXY header. */
  readonly handOverPath: string;
  readonly door: TlsDoor<string>;
  readonly admission: Admission;
  readonly certificates: Certificates;
  readonly authority: Authority;
  readonly api: FakeEdgeService;
  readonly table: RouteTable;
  readonly directory: string;
  /** Why connections ended at the door, in order. */
  readonly refused: string[];
  readonly turnedAway: TurnedAway<string>[];
  /** Those that came through. */
  readonly entered: SecureConnection<string>[];
  /** Tells the table of a route, as the api would. */
  know(number: number, state?: "running" | "ended"): Promise<void>;
}

export interface TestDoorOptions {
  readonly limits?: Partial<EdgeLimits>;
  readonly alpn?: readonly string[];
  /** Instead of {@link answerFor}. */
  readonly answer?: Answer<string>;
  readonly sendsProxyHeader?: TlsDoorOptions<string>["sendsProxyHeader"];
  /** In whose folder to go on. */
  readonly directory?: string;
  readonly authority?: Authority;
  readonly isApiDown?: boolean;
  /** Sandboxes that the table knows from the start, as after a restart. */
  readonly knows?: readonly number[];
  readonly certificates?: Certificates;
  readonly now?: () => number;
  readonly tickets?: TicketKeys;
  readonly domain?: string;
}

export async function startDoor(options: TestDoorOptions = {}): Promise<TestDoor> {
  await using stack = new AsyncDisposableStack();
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), "door-")));
  if (options.directory === undefined) stack.defer(() => rm(directory, { recursive: true, force: true }));
  const authority = options.authority ?? (await makeAuthority());
  const socketPath = join(directory, "edge.sock");
  const api = stack.use(new FakeEdgeService({ platformId: PLATFORM_ID, socketPath, authority }));
  if (options.isApiDown !== true) await api.start();
  const client = new EdgeServiceClient(`unix:${socketPath}`, credentials.createInsecure());
  stack.defer(() => client.close());
  const { now = Date.now } = options;
  const table = new RouteTable({ platformId: PLATFORM_ID, now });
  let revision = 0;
  const know = async (number: number, state: "running" | "ended" = "running") => {
    const sandboxId = sandbox(number);
    const ids = { workspaceId: sandbox(1).replace("sb", "ws"), instanceId: sandboxId.replace("sb", "in") };
    const route = { sandboxId, ...ids, state, gateway: "/run/open.sock", tokenEpoch: 0 };
    revision += 1;
    await table.apply({ revision, reset: false, routes: [route], revoked: [] });
  };
  for (const number of options.knows ?? []) await know(number);
  const certificates = stack.use(
    options.certificates ??
      new LocalCertificates({
        store: new CertificateStore({ stateDirectory: directory, logger: silentLogger }),
        client,
        edgeId: "edge-1",
        hosts: {
          ofRoute: ({ sandboxId }) => [`${sandboxId}.${DOMAIN}`],
          isKnown: (host) => table.get(sandboxOf(host, DOMAIN) ?? "") !== undefined,
        },
        table,
        now,
        tickets: options.tickets,
        logger: silentLogger,
      }),
  );
  const refused: string[] = [];
  const turnedAway: TestDoor["turnedAway"] = [];
  const entered: TestDoor["entered"] = [];
  const limits = { ...DEFAULT_EDGE_LIMITS, ...options.limits };
  const admission = new Admission(limits);
  const door = new TlsDoor<string>({
    admission,
    limits,
    certificates,
    answer: options.answer ?? answerFor(options.domain ?? DOMAIN, options.alpn ?? ["http/1.1"]),
    sendsProxyHeader: options.sendsProxyHeader,
    onSecure: (connection) => {
      entered.push(connection);
      connection.socket.on("error", () => connection.socket.destroy());
      connection.socket.on("data", (chunk: Buffer) => connection.socket.write(chunk));
      connection.socket.on("end", () => connection.socket.end());
      connection.socket.write(`hello ${connection.servername}\n`);
    },
    onRefused: (one) => {
      refused.push(one.reason);
      turnedAway.push(one);
    },
    logger: silentLogger,
  });
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  door.listen(listener);
  const handOverPath = join(directory, "hand-over.sock");
  const handOver = createServer();
  await listenAtOwnSocket(handOver, handOverPath, 0o660);
  door.listen(handOver, "proxy-header");
  stack.defer(() => {
    door[Symbol.dispose]();
    for (const { socket } of entered) socket.destroy();
  });
  const owned = stack.move();
  return {
    port: (listener.address() as AddressInfo).port,
    handOverPath,
    door,
    admission,
    certificates,
    authority,
    api,
    table,
    directory,
    refused,
    turnedAway,
    entered,
    know,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
