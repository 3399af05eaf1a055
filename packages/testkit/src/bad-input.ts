// Bad input of every field of every call, made from proto/, sent over HTTP, over gRPC and through the SDK, and judged.
import type { Base } from "./bad-input/cases.ts";
import { badCases } from "./bad-input/cases.ts";
import type { Verdict } from "./bad-input/send-rest.ts";
import { restShape, sendRest } from "./bad-input/send-rest.ts";
import type { SdkCall } from "./bad-input/send-sdk.ts";
import { sdkCases } from "./bad-input/send-sdk.ts";
import { WireClient, wireCases } from "./bad-input/send-wire.ts";
import type { RestClient } from "./rest-client.ts";

export type { Base } from "./bad-input/cases.ts";
export type { SdkCall, TypedRequest } from "./bad-input/send-sdk.ts";

/** How many cases there were, and which were answered as none should be. */
export interface Findings {
  readonly cases: number;
  readonly accepted: number;
  readonly faults: readonly string[];
}

/** Codes with which a request may be refused for what it asks. */
const REFUSALS = new Set([
  "InvalidArgument",
  "NotFound",
  "AlreadyExists",
  "FailedPrecondition",
  "ResourceExhausted",
  "SandboxEnded",
  "DeadlineExceeded", // a short wait that is over
]);

/** Sends every case of these methods over HTTP. */
export async function probeRest(
  methods: readonly string[],
  base: Base,
  caller: { readonly client: RestClient; readonly token: string },
): Promise<Findings> {
  const tally = new Tally();
  for (const method of methods) {
    for (const one of badCases(method, base)) {
      const shape = restShape(one);
      if (shape === undefined) continue;
      const name = `${method.split("/").at(-1)} ${one.what}`;
      const verdict = await answered(sendRest(caller.client, caller.token, shape));
      tally.add(name, verdict, { ...one, malformed: one.malformed && shape.isInBody });
    }
  }
  return tally;
}

/** Sends every case of these methods over gRPC, as bytes. */
export async function probeWire(
  methods: readonly string[],
  base: Base,
  caller: { readonly address: string; readonly token: string },
): Promise<Findings> {
  const tally = new Tally();
  using client = new WireClient(caller.address, caller.token);
  for (const method of methods) {
    for (const one of wireCases(method, base)) {
      const verdict = await answered(client.send(one));
      tally.add(`${method.split("/").at(-1)} ${one.what}`, verdict, { ...one, malformed: false });
    }
  }
  return tally;
}

/** Makes every case of these calls of the SDK. */
export async function probeSdk(calls: readonly SdkCall[]): Promise<Findings> {
  const tally = new Tally();
  for (const call of calls) {
    for (const one of sdkCases(call)) {
      const verdict = await sdkVerdict(() => call.send(one.request), one.untyped);
      const field = one.named.find((name) => name === topOf(verdict.field)) ?? one.named[0] ?? "";
      tally.add(`${call.name} ${one.what}`, verdict, { field, malformed: false, isNameless: one.untyped });
    }
  }
  return tally;
}

/** How errors of the SDK are known, whatever copy of it made them. */
const SDK_ERROR = Symbol.for("sallyport.sdk.error");

async function sdkVerdict(call: () => Promise<unknown>, untyped: boolean): Promise<Verdict> {
  try {
    await call();
    return { code: "ok", field: undefined, detail: "" };
  } catch (error) {
    const detail = String(error);
    if (error instanceof Error && SDK_ERROR in error && "code" in error && typeof error.code === "string") {
      const field = "field" in error && typeof error.field === "string" ? error.field : undefined;
      return { code: error.code, field, detail };
    }
    // For what types forbid already, there is a shorter word.
    return {
      code: untyped && error instanceof TypeError ? "InvalidArgument" : "no SallyportError",
      field: undefined,
      detail,
    };
  }
}

async function answered(sent: Promise<Verdict>): Promise<Verdict> {
  try {
    return await sent;
  } catch (error) {
    return { code: "no answer", field: undefined, detail: String(error) };
  }
}

class Tally implements Findings {
  cases = 0;
  accepted = 0;
  readonly faults: string[] = [];

  add(
    name: string,
    { code, detail, field }: Verdict,
    expected: { readonly field: string; readonly malformed: boolean; readonly isNameless?: boolean },
  ): void {
    this.cases += 1;
    if (code === "ok") this.accepted += 1;
    const blame = this.#blame(code, field, expected);
    if (blame !== undefined) this.faults.push(`${name}: ${blame} (${code} ${field ?? "-"}: ${detail.slice(0, 120)})`);
  }

  #blame(
    code: string,
    field: string | undefined,
    expected: { readonly field: string; readonly malformed: boolean; readonly isNameless?: boolean },
  ): string | undefined {
    if (code === "ok") return expected.malformed ? "was taken" : undefined;
    if (!REFUSALS.has(code)) return "is no refusal";
    if (expected.malformed && code !== "InvalidArgument") return "is not InvalidArgument";
    if (code !== "InvalidArgument" || expected.isNameless === true) return undefined;
    return topOf(field) === expected.field ? undefined : "names another field";
  }
}

function topOf(field: string | undefined): string | undefined {
  return field?.split(/[.[]/)[0];
}
