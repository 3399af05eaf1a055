// A worker that runs nothing: a real client of WorkerService whose reports are the test's to decide.
import { credentials } from "@grpc/grpc-js";
import type {
  DesiredInstance,
  InstanceEvent,
  InstanceReport,
  Outcome,
  WatchDesiredRequest,
  WatchDesiredResponse,
} from "@sallyport/contracts";
import { EndReason, InstanceState, DesiredInstance_Wish as Wish } from "@sallyport/contracts";
import { callServerStream, callUnary, WorkerServiceClient } from "@sallyport/contracts/grpc";
import type { TestApi } from "./fixtures.ts";
import { eventually } from "./fixtures.ts";

export const DIGEST = `sha256:${"a".repeat(64)}`;

/** What a fake worker does with a wish that it has not seen before. */
export type OnWish = (worker: FakeWorker, desired: DesiredInstance) => Promise<void>;

export class FakeWorker implements AsyncDisposable {
  readonly client: WorkerServiceClient;
  readonly id: string;
  readonly messages: WatchDesiredResponse[] = [];
  /** The newest wish for each instance. */
  readonly desired = new Map<string, DesiredInstance>();
  /** How the stream ended, once it has. */
  ended: unknown;
  lastBeatError: unknown;
  readonly #seqs = new Map<string, number>();
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  readonly #beat: NodeJS.Timeout;
  #lastBeat: Promise<void> | undefined;

  constructor(api: Pick<TestApi, "config">, onWish: OnWish, hello: Partial<WatchDesiredRequest> = {}) {
    this.client = new WorkerServiceClient(`unix:${api.config.workerSocket}`, credentials.createInsecure());
    const full = { ...HELLO, ...hello };
    this.id = full.workerId;
    this.#running = this.#run(full, onWish);
    this.#beat = setInterval(() => {
      this.#lastBeat = this.send([]).then(
        () => undefined,
        (error: unknown) => {
          this.lastBeatError = error; // the api may be away; the test decides what that means
        },
      );
    }, 2_000);
  }

  /** No signs of life once this resolves. */
  async fallSilent(): Promise<void> {
    clearInterval(this.#beat);
    await this.#lastBeat;
  }

  async #run(hello: WatchDesiredRequest, onWish: OnWish): Promise<void> {
    try {
      const stream = callServerStream(this.client, this.client.watchDesired, hello, { signal: this.#stop.signal });
      for await (const message of stream) {
        this.messages.push(message);
        for (const desired of message.instances) {
          const known = this.desired.get(desired.instanceId);
          const whole = {
            ...desired,
            spec: desired.spec ?? known?.spec,
            network: desired.network ?? known?.network,
          };
          this.desired.set(desired.instanceId, whole);
          if (known === undefined || wordsOf(known) !== wordsOf(whole)) await onWish(this, whole);
        }
      }
      this.ended = "well";
    } catch (error) {
      this.ended = error;
    }
  }

  /** Resolves once the first snapshot is here. */
  async ready(): Promise<this> {
    await eventually("a first snapshot", () =>
      this.messages.length > 0 || this.ended !== undefined ? true : undefined,
    );
    if (this.ended !== undefined) throw new Error("the stream ended", { cause: this.ended });
    return this;
  }

  /** Reports a state with the next seq, and every wish to sleep or to wake, and every policy, as followed. */
  report(desired: DesiredInstance, state: InstanceState, outcome?: Outcome, events: readonly InstanceEvent[] = []) {
    const seq = (this.#seqs.get(desired.instanceId) ?? 0) + 1;
    this.#seqs.set(desired.instanceId, seq);
    const { asleep, sleepGeneration } = desired;
    const followed = { asleep, sleepGeneration, networkGeneration: networkGenerationOf(desired) };
    return this.send([{ ...report(desired, state, seq), ...followed, outcome, events: [...events] }]);
  }

  send(reports: InstanceReport[], addresses?: readonly string[]) {
    const own = addresses === undefined ? undefined : { cidrs: [...addresses] };
    return callUnary(this.client, this.client.reportInstances, { workerId: this.id, reports, addresses: own });
  }

  /** The machines' own addresses, as it was last told. */
  get fleet(): readonly string[] | undefined {
    return this.messages.findLast(({ fleet }) => fleet !== undefined)?.fleet?.cidrs;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fallSilent();
    this.#stop.abort(new Error("the test is over"));
    await this.#running;
    this.client.close();
  }
}

/** Of a wish, what an obedient worker acts on. */
function wordsOf(desired: DesiredInstance): string {
  return `${desired.wish} ${desired.sleepGeneration} ${networkGenerationOf(desired)}`;
}

/** The number of the newest policy of a wish: the first one is in the spec alone. */
export function networkGenerationOf({ network, spec }: DesiredInstance): number {
  return network?.generation ?? spec?.network?.generation ?? 0;
}

export const HELLO: WatchDesiredRequest = {
  workerId: "wk-01jd0000000000000000000001",
  platformId: "",
  cpuMillis: 1_000_000,
  memoryMib: 1_000_000,
  maxInstances: 1_000,
  ioAddress: "127.0.0.1:7351",
  ioUrl: "http://127.0.0.1:7353",
  images: [{ name: "default", digest: DIGEST }],
  runscVersion: "20240729.0",
};

export function report(
  desired: { instanceId: string; generation: number },
  state: InstanceState,
  seq: number,
): InstanceReport {
  const { instanceId, generation } = desired;
  return {
    instanceId,
    generation,
    seq,
    state,
    outcome: undefined,
    at: new Date(),
    networkGeneration: 1,
    asleep: false,
    sleepGeneration: 0,
    events: [],
  };
}

export const EXITED: Outcome = outcome({ reason: EndReason.EXITED });
export const TERMINATED: Outcome = outcome({ reason: EndReason.TERMINATED, exitCode: 137 });

export function outcome(change: Partial<Outcome>): Outcome {
  return {
    reason: EndReason.EXITED,
    exitCode: 0,
    signal: undefined,
    message: undefined,
    startErrorField: undefined,
    ...change,
  };
}

/** Does what is wished: runs, sleeps and wakes, and ends when told to. */
export const obedient: OnWish = async (worker, desired) => {
  if (desired.wish === Wish.RUN) await worker.report(desired, InstanceState.RUNNING);
  else await worker.report(desired, InstanceState.ENDED, TERMINATED);
};

/** Takes note and does nothing. */
export const idle: OnWish = async () => {};
