// Public ports of raw ones, on a real database: each is one sandbox's at a time, and rests before it is another's.
import { callUnary } from "@sallyport/contracts/grpc";
import { describe, expect, it } from "vitest";
import { createWith, terminate, tunnelsOf } from "../test/declared-ports.ts";
import { FakeWorker, obedient } from "../test/fake-worker.ts";
import type { TestApi } from "../test/fixtures.ts";
import { attachTestApi, createRequest, makeWorkspace, refusal, startTestApi } from "../test/fixtures.ts";
import type { ApiConfig } from "./config.ts";

const REST_MS = 600_000;
const EXHAUSTED = { code: "ResourceExhausted", field: "unencrypted_ports" };

type RawPorts = ApiConfig["tunnels"]["rawPorts"];

/** An api that gives these public ports, and a workspace without quota; a worker unless it is to be without one. */
async function platform(rawPorts: RawPorts, hasWorker = true, rawPortsPerWorkspace = 65_535) {
  const tunnels = {
    domain: "localhost",
    port: 7_443,
    isLocal: true,
    rawHost: "127.0.0.2",
    rawPorts,
    rawPortsPerWorkspace,
    rawRestMs: REST_MS,
  };
  const api = await startTestApi({ tunnels });
  const stack = new AsyncDisposableStack();
  stack.use(api);
  const addWorker = async () => {
    stack.use(await new FakeWorker(api, obedient).ready());
  };
  if (hasWorker) await addWorker();
  const owner = await makeWorkspace(api, "owner");
  const none = { sandboxes: 0, cpuMillis: 0, memoryMib: 0, diskMib: 0, createsPerMinute: 0 };
  await callUnary(api.admin, api.admin.setWorkspaceQuota, { workspace: "owner", ...none });
  return {
    api,
    owner,
    addWorker,
    create: (...unencryptedPorts: number[]) => createWith(api, owner, { unencryptedPorts, waitMs: 10_000 }),
    portsOf: async (sandboxId: string) => (await tunnelsOf(api, owner, sandboxId)).map(({ tcpPort }) => tcpPort ?? 0),
    end: (sandboxId: string) => terminate(api, owner, sandboxId),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Moves the end of a port's last sandbox back in time. */
async function restFor(api: TestApi, port: number, ms: number): Promise<void> {
  const back =
    "UPDATE public_ports SET rests_since = rests_since - $2 * interval '1 millisecond' WHERE port = $1 RETURNING rests_since";
  const [row] = await api.sql(back, [port, ms]);
  if (!(row?.["rests_since"] instanceof Date)) throw new Error(`port ${port} does not rest`);
}

/** Forgets a sandbox, whether it has ended or not. */
async function forget(api: TestApi, sandboxId: string): Promise<void> {
  for (const table of ["idempotency_keys", "instances"]) {
    await api.sql(`DELETE FROM ${table} WHERE sandbox_id = $1`, [sandboxId]);
  }
  await api.sql("DELETE FROM sandboxes WHERE id = $1", [sandboxId]);
}

describe("public ports", { timeout: 60_000 }, () => {
  it("are each one sandbox's, however many creates there are at once, and at two apis", async () => {
    await using place = await platform({ from: 21_000, to: 21_047 });
    const { api } = place;
    await using other = await attachTestApi(api.database, { tunnels: api.config.tunnels });
    // Creates of one workspace wait for each other before they take ports.
    const owners = await Promise.all(Array.from({ length: 8 }, (_, index) => makeWorkspace(api, `owner-${index}`)));
    const found: number[] = [];
    const lanes = owners.map(async (owner, index) => {
      const on = index % 2 === 0 ? api : other;
      for (let round = 0; round < 3; round += 1) {
        const sandboxId = await createWith(on, owner, { unencryptedPorts: [5_432, 6_379] });
        found.push(...(await tunnelsOf(on, owner, sandboxId)).map(({ tcpPort }) => tcpPort ?? 0));
      }
    });
    await Promise.all(lanes);
    const range = Array.from({ length: 48 }, (_, index) => 21_000 + index);
    expect(found.toSorted((a, b) => a - b)).toEqual(range); // the last one too: nobody was refused one that was free
    expect(await refusal(place.create(22))).toMatchObject({
      ...EXHAUSTED,
      message: "unencrypted_ports: all public ports are in use, or rest",
    });
  });

  it("are all given back by a create that does not get all that it wants, or fails later", async () => {
    await using place = await platform({ from: 21_000, to: 21_001 }, false);
    expect(await refusal(place.create(1, 2, 3))).toMatchObject(EXHAUSTED);
    expect(await refusal(place.create(1, 2))).toMatchObject({ code: "Unavailable" }); // no worker
    const taken = "SELECT port FROM public_ports WHERE sandbox_id IS NOT NULL OR rests_since IS NOT NULL";
    expect(await place.api.sql(taken)).toEqual([]);
    await place.addWorker();
    expect(await place.portsOf(await place.create(1, 2))).toEqual([21_000, 21_001]);
  });

  it("are refused where the platform has none, and other kinds are not", async () => {
    await using place = await platform(undefined);
    expect(await refusal(place.create(22))).toMatchObject({ code: "FailedPrecondition", field: "unencrypted_ports" });
    const sandboxId = await createWith(place.api, place.owner, { encryptedPorts: [8_080], h2Ports: [50_051] });
    expect((await tunnelsOf(place.api, place.owner, sandboxId)).map(({ port }) => port)).toEqual([8_080, 50_051]);
  });

  it("rest for their time after a sandbox's end", async () => {
    await using place = await platform({ from: 21_000, to: 21_000 });
    const { api, create, end, portsOf } = place;
    const first = await create(22);
    expect(await portsOf(first)).toEqual([21_000]);
    expect(await refusal(create(22))).toMatchObject(EXHAUSTED);
    await end(first);
    expect(await refusal(create(22))).toMatchObject(EXHAUSTED);
    await restFor(api, 21_000, REST_MS - 60_000);
    expect(await refusal(create(22))).toMatchObject(EXHAUSTED);
    await restFor(api, 21_000, 60_000);
    const second = await create(22);
    expect(await portsOf(second)).toEqual([21_000]);
    // Whatever is still written of the first one's end gives nothing of the second one's away.
    await api.sql("UPDATE sandboxes SET ended_at = now() WHERE id = $1", [first]);
    await forget(api, first);
    const [row] = await api.sql("SELECT sandbox_id, rests_since FROM public_ports");
    expect(row).toEqual({ sandbox_id: second, rests_since: null });
  });

  it("rest as long where the sandbox's row is gone, after its end or without one", async () => {
    await using place = await platform({ from: 21_000, to: 21_001 });
    const { api, create, end, portsOf } = place;
    const [ended, living] = [await create(22), await create(22)];
    expect([await portsOf(ended), await portsOf(living)]).toEqual([[21_000], [21_001]]);
    await end(ended);
    await forget(api, ended);
    await forget(api, living);
    expect(
      await api.sql("SELECT port FROM public_ports WHERE sandbox_id IS NULL AND rests_since IS NOT NULL"),
    ).toHaveLength(2);
    expect(await refusal(create(22))).toMatchObject(EXHAUSTED);
    await restFor(api, 21_001, REST_MS);
    expect(await portsOf(await create(22))).toEqual([21_001]);
    expect(await refusal(create(22))).toMatchObject(EXHAUSTED);
    await restFor(api, 21_000, REST_MS);
    expect(await portsOf(await create(22))).toEqual([21_000]);
  });

  it("that never were anybody's come first, then those that rested longest", async () => {
    await using place = await platform({ from: 21_000, to: 21_003 });
    const { api, create, end, portsOf } = place;
    const ids = [await create(22), await create(22), await create(22)];
    for (const id of ids) await end(id);
    await restFor(api, 21_000, REST_MS);
    await restFor(api, 21_001, 3 * REST_MS);
    await restFor(api, 21_002, 2 * REST_MS);
    const next = [];
    for (let round = 0; round < 4; round += 1) next.push(...(await portsOf(await create(22))));
    expect(next).toEqual([21_003, 21_001, 21_002, 21_000]);
  });

  it("are shared: one workspace has no more than its part, and what it gave back counts until it has rested", async () => {
    await using place = await platform({ from: 21_000, to: 21_008 }, true, 4);
    const { api, create, end } = place;
    const other = await makeWorkspace(api, "other");
    const first = await create(1, 2, 3);
    const tooMany = {
      ...EXHAUSTED,
      message: "unencrypted_ports: the workspace's share of public ports is 4: 3 in use or resting, 2 asked for",
      hint: expect.stringContaining("SALLYPORT_TUNNEL_RAW_PORTS_PER_WORKSPACE") as string,
    };
    expect(await refusal(create(4, 5))).toMatchObject(tooMany);
    await end(first);
    expect(await refusal(create(4, 5))).toMatchObject(tooMany); // else a workspace could let all of them rest
    await createWith(api, other, { unencryptedPorts: [1, 2, 3, 4] }); // which is nothing to others
    await restFor(api, 21_000, REST_MS);
    await create(4, 5);
    // The database writes down whose a port is, whichever release gives it out.
    await api.sql("UPDATE public_ports SET workspace_id = NULL");
    await createWith(api, other, { unencryptedPorts: [1] });
    const holders = await api.sql("SELECT count(workspace_id)::integer AS known FROM public_ports");
    expect(holders).toEqual([{ known: 1 }]);
  });

  it("are not given at the same time to creates of one workspace that are too many together", async () => {
    await using place = await platform({ from: 21_000, to: 21_007 }, true, 4);
    const results = await Promise.allSettled([1, 2, 3, 4, 5, 6].map((port) => place.create(port, port + 10)));
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(2);
  });

  it("outside of a range that was made smaller are given to nobody", async () => {
    await using wide = await platform({ from: 21_000, to: 21_003 });
    const { api, owner } = wide;
    const before = await wide.create(22);
    const narrow = { ...api.config.tunnels, rawPorts: { from: 21_003, to: 21_003 } };
    await using after = await attachTestApi(api.database, { tunnels: narrow });
    const sandboxId = await createWith(after, owner, { unencryptedPorts: [22] });
    expect((await tunnelsOf(after, owner, sandboxId)).map(({ tcpPort }) => tcpPort)).toEqual([21_003]);
    expect(await refusal(createWith(after, owner, { unencryptedPorts: [22] }))).toMatchObject(EXHAUSTED);
    expect(await wide.portsOf(before)).toEqual([21_000]); // it keeps what it has
  });

  it("are the same for a create that is repeated", async () => {
    await using place = await platform({ from: 21_000, to: 21_000 });
    const { api, owner } = place;
    const request = createRequest({
      unencryptedPorts: [22],
      encryptedPorts: [443],
      inboundCidrAllowlist: { cidrs: [] },
    });
    const send = (change: Partial<typeof request> = {}) =>
      callUnary(api.sandboxes, api.sandboxes.createSandbox, { ...request, ...change }, owner.auth);
    const answers = await Promise.all([send(), send(), send()]);
    const ids = new Set(answers.map(({ sandbox }) => sandbox?.id));
    expect(ids.size).toBe(1);
    const [id = ""] = ids;
    const tunnels = await tunnelsOf(api, owner, id);
    expect(tunnels).toMatchObject([{ port: 22, tcpPort: 21_000 }, { port: 443 }]);
    expect((await send()).sandbox?.id).toBe(id);
    expect(await tunnelsOf(api, owner, id)).toEqual(tunnels);
    for (const other of [
      { unencryptedPorts: [23] },
      { encryptedPorts: [] },
      { encryptedPorts: [], h2Ports: [443] },
      { proxyProtocolPorts: [22] },
      { inboundCidrAllowlist: undefined },
      { inboundCidrAllowlist: { cidrs: ["10.0.0.0/8"] } },
    ]) {
      expect(await refusal(send(other)), JSON.stringify(other)).toMatchObject({ field: "idempotency_key" });
    }
  });
});
