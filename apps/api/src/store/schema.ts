// The tables, as kysely sees them. migrations/ makes them; the two change together.
import type { PublicJwk as KeySetJwk } from "@sallyport/connect-token/issue";
import type { ColumnType, Generated, JSONColumnType } from "kysely";
import type { PortKind } from "../domain/declared-port.ts";
import type { EdgeKind } from "../domain/edge-kind.ts";
import type { ImageDefaults, ImageSource, ImageState } from "../domain/image.ts";
import type { ObservedState, Outcome, Wish } from "../domain/instance-state.ts";
import type { NetworkCause, StoredPolicy } from "../domain/network.ts";
import type { StoredSpec } from "../domain/sandbox.ts";
import type { EventDetail } from "../domain/sandbox-event.ts";

/** Written by the database when left out. */
type CreatedAt = ColumnType<Date, Date | undefined, never>;
/** NULL when left out. */
type Unset<T> = ColumnType<T | null, T | null | undefined, T | null>;
type Json<T extends object | null> = JSONColumnType<T, string | null, string | null>;

export interface Schema {
  settings: { name: string; value: string };
  workspaces: {
    id: string;
    name: string;
    granted_cidrs: Generated<string[]>;
    created_at: CreatedAt;
    quota_sandboxes: Unset<number>;
    quota_cpu_millis: Unset<number>;
    quota_memory_mib: Unset<number>;
    quota_disk_mib: Unset<number>;
    quota_creates_per_minute: Unset<number>;
    refuses_user_data_at_tunnels: Generated<boolean>;
  };
  api_tokens: {
    id: string;
    workspace_id: string;
    name: string;
    secret_hash: Buffer;
    created_at: CreatedAt;
    revoked_at: Date | null;
  };
  apps: { id: string; workspace_id: string; name: string; created_at: CreatedAt };
  workers: {
    id: string;
    cpu_millis: number;
    memory_mib: number;
    max_instances: number;
    io_address: string;
    runsc_version: string;
    session: number;
    registered_at: CreatedAt;
    last_seen_at: Date;
    io_url: Generated<string>;
    unreachable_since: Unset<Date>;
    lost_at: Unset<Date>;
    addresses: Generated<string[]>;
  };
  images: { worker_id: string; name: string; digest: string };
  workspace_images: {
    id: string;
    workspace_id: string;
    state: ImageState;
    source: JSONColumnType<ImageSource>;
    source_hash: Buffer;
    context_complete: boolean;
    worker_id: Unset<string>;
    digest: Unset<string>;
    size: Generated<number>;
    defaults: ColumnType<ImageDefaults | null, string | null | undefined, string | null>;
    error: Unset<string>;
    log_size: Generated<number>;
    created_at: CreatedAt;
    deleted_at: Unset<Date>;
  };
  image_logs: { image_id: string; log_offset: number; text: string };
  registry_credentials: {
    workspace_id: string;
    registry: string;
    username: string;
    master_key_id: string;
    sealed_password: Buffer;
    created_at: Date;
  };
  sandboxes: {
    id: string;
    workspace_id: string;
    app_id: string;
    generation: number;
    image: string;
    network: JSONColumnType<StoredPolicy>;
    cpu_millis: number;
    memory_mib: number;
    lifetime_ms: number;
    command: Json<string[] | null>;
    created_at: CreatedAt;
    ended_at: Date | null;
    name: string | null;
    tags: JSONColumnType<Record<string, string>>;
    idle_timeout_ms: number | null;
    sleep_after_ms: number | null;
    disk_mib: number;
    event_seq: number;
    dns: Generated<string[]>;
    token_epoch: Generated<number>;
    tokens_revoked_at: Unset<Date>;
    inbound_cidrs: Unset<string[]>;
  };
  declared_ports: {
    label: string;
    sandbox_id: string;
    workspace_id: string;
    port: number;
    kind: PortKind;
    public_port: number | null;
    proxy_protocol: boolean;
  };
  public_ports: {
    port: number;
    sandbox_id: string | null;
    rests_since: Date | null;
    workspace_id: string | null;
  };
  sandbox_events: {
    sandbox_id: string;
    seq: number;
    workspace_id: string;
    at: Date;
    type: string;
    detail: JSONColumnType<EventDetail>;
  };
  instances: {
    id: string;
    sandbox_id: string;
    workspace_id: string;
    generation: number;
    worker_id: string;
    cpu_millis: number;
    memory_mib: number;
    wish: Wish;
    spec: JSONColumnType<StoredSpec>;
    observed: ObservedState;
    seq: number;
    network_generation: number;
    outcome: Json<Outcome | null>;
    created_at: CreatedAt;
    started_at: Date | null;
    ended_at: Date | null;
    asleep: Generated<boolean>;
    sleep_followed: Generated<number>;
    sleep_generation: Generated<number>;
    sleep_wish: Generated<boolean>;
    event_seq: Generated<number>;
    end_owed: Generated<boolean>;
    network_wished: Generated<number>;
    network_cause: Unset<NetworkCause>;
  };
  idempotency_keys: {
    workspace_id: string;
    key: string;
    request_hash: Buffer;
    sandbox_id: string;
    created_at: CreatedAt;
  };
  signing_keys: {
    id: string;
    master_key_id: string;
    public_jwk: JSONColumnType<PublicJwk>;
    sealed_private_jwk: Buffer;
    created_at: CreatedAt;
    retired_at: Date | null;
  };
  connect_tokens: {
    id: string;
    sandbox_id: string;
    workspace_id: string;
    epoch: number;
    port: number;
    embed: boolean;
    created_at: Date;
    expires_at: Date;
    revoked_at: Unset<Date>;
  };
  connect_keys: {
    id: string;
    master_key_id: string;
    public_jwk: JSONColumnType<KeySetJwk>;
    sealed_private_jwk: Buffer;
    created_at: CreatedAt;
    signs_from: Date;
    retired_at: Unset<Date>;
  };
  edges: { id: string; revision: number; seen_at: Date; kind: Generated<EdgeKind> };
  assertion_keys: { id: string; edge_id: string; public_jwk: JSONColumnType<KeySetJwk>; published_at: Date };
  authorities: {
    fingerprint: string;
    name: string;
    certificate_pem: string;
    master_key_id: string;
    sealed_private_key: Buffer;
    created_at: CreatedAt;
    expires_at: Date;
  };
  /** One row. */
  route_sequence: { id: Generated<boolean>; revision: number; keys_revision: number; floor: number };
  /** Triggers write these two. */
  route_changes: { sandbox_id: string; revision: number };
  revocations: { token_id: string; sandbox_id: string; expires_at: Date; revision: number };
}

/** An Ed25519 public key as RFC 8037 writes it. */
export interface PublicJwk {
  readonly kty: "OKP";
  readonly crv: "Ed25519";
  readonly x: string;
}
