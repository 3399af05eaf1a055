// The tables, as kysely sees them. migrations/ makes them; the two change together.
import type { NetworkPolicy } from "@sallyport/policy";
import type { ColumnType, Generated, JSONColumnType } from "kysely";
import type { ObservedState, Outcome, Wish } from "../domain/instance-state.ts";
import type { InstanceSpec } from "../domain/sandbox.ts";

/** Written by the database when left out. */
type CreatedAt = ColumnType<Date, Date | undefined, never>;
type Json<T extends object | null> = JSONColumnType<T, string | null, string | null>;

export interface Schema {
  settings: { name: string; value: string };
  workspaces: { id: string; name: string; granted_cidrs: Generated<string[]>; created_at: CreatedAt };
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
  };
  images: { worker_id: string; name: string; digest: string };
  sandboxes: {
    id: string;
    workspace_id: string;
    app_id: string;
    generation: number;
    image: string;
    network: JSONColumnType<{ policy: NetworkPolicy }>;
    cpu_millis: number;
    memory_mib: number;
    lifetime_ms: number;
    command: Json<string[] | null>;
    created_at: CreatedAt;
    ended_at: Date | null;
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
    spec: JSONColumnType<InstanceSpec>;
    observed: ObservedState;
    seq: number;
    network_generation: number;
    outcome: Json<Outcome | null>;
    created_at: CreatedAt;
    started_at: Date | null;
    ended_at: Date | null;
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
}

/** An Ed25519 public key as RFC 8037 writes it. */
export interface PublicJwk {
  readonly kty: "OKP";
  readonly crv: "Ed25519";
  readonly x: string;
}
