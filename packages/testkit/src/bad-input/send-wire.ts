// Requests over gRPC as bytes: what no client library would send. Truncated, of wrong wire types, with fields that nobody
// knows, numbers that do not fit and texts that are none.
import type { DescField } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { Client, type ClientReadableStream, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { codeOfGrpcStatus, decodeStatusDetails, STATUS_DETAILS_KEY } from "@sallyport/contracts";
import { methodSchema, requestFromJson } from "@sallyport/contracts/json";
import type { Base } from "./cases.ts";
import type { Verdict } from "./send-rest.ts";

/** One request as bytes. */
export interface WireCase {
  readonly method: string;
  readonly field: string;
  readonly what: string;
  readonly bytes: Uint8Array;
  /** No reader can tell which field it was. */
  readonly isNameless: boolean;
}

const SILENCE_MS = 500;

/** Every case of a method. */
export function* wireCases(method: string, base: Base): Generator<WireCase> {
  const { input } = methodSchema(method);
  const good = () => requestFromJson(input, { body: JSON.stringify(base(method)), params: {} });
  const whole = good();
  for (let end = 1; end < whole.length; end += Math.max(1, Math.floor(whole.length / 8))) {
    yield { method, field: "", what: `cut after ${end}`, bytes: whole.subarray(0, end), isNameless: true };
  }
  for (const [what, bytes] of JUNK) yield { method, field: "", what, bytes, isNameless: true };
  for (const field of input.fields) {
    for (const [what, bytes, isNameless] of fieldBytes(field)) {
      yield {
        method,
        field: field.name,
        what: `${field.name}: ${what}`,
        bytes: Buffer.concat([good(), bytes]),
        isNameless,
      };
    }
  }
  const unknown = new BinaryWriter().tag(15_000, WireType.LengthDelimited).string("who knows").finish();
  yield {
    method,
    field: "",
    what: "a field of a later version",
    bytes: Buffer.concat([good(), unknown]),
    isNameless: true,
  };
}

const JUNK: readonly (readonly [string, Uint8Array])[] = [
  ["a tag of field 0", Uint8Array.of(0x00, 0x01)],
  ["a varint without end", new Uint8Array(20).fill(0xff)],
  ["a group that does not end", Uint8Array.of(0x0b)],
  ["a wire type that is none", Uint8Array.of(0x0f, 0x01)],
  ["a length beyond the end", Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0x7f)],
  ["nothing", new Uint8Array()],
];

function fieldBytes(field: DescField): [what: string, bytes: Uint8Array, isNameless: boolean][] {
  const at = (type: WireType) => new BinaryWriter().tag(field.number, type);
  const cases: [string, Uint8Array, boolean][] = [
    ["as a varint", at(WireType.Varint).uint32(7).finish(), true],
    ["as 64 bits", at(WireType.Bit64).fixed64(7).finish(), true],
    ["as 32 bits", at(WireType.Bit32).fixed32(7).finish(), true],
    ["as bytes", at(WireType.LengthDelimited).bytes(Uint8Array.of(0xff, 0xfe)).finish(), true],
  ];
  if (field.fieldKind === "map") {
    const entry = new BinaryWriter().tag(1, WireType.LengthDelimited).string("__proto__").finish();
    cases.push(["the prototype as a name", at(WireType.LengthDelimited).bytes(entry).finish(), false]);
  } else if (field.fieldKind === "list") {
    const one = at(WireType.LengthDelimited).string("a").finish();
    cases.push(["very many", Buffer.concat(Array.from({ length: 200_000 }, () => one)), false]);
  } else if (field.fieldKind === "enum") {
    for (const number of [99, -1, 2_147_483_647]) {
      cases.push([String(number), at(WireType.Varint).int32(number).finish(), false]);
    }
  } else if (field.scalar === ScalarType.STRING) {
    cases.push([
      "no UTF-8",
      at(WireType.LengthDelimited)
        .bytes(Uint8Array.of(0x61, 0xc0, 0xaf))
        .finish(),
      true,
    ]);
    cases.push(["NUL", at(WireType.LengthDelimited).string("a\0b").finish(), false]);
    cases.push(["very long", at(WireType.LengthDelimited).string("x".repeat(900_000)).finish(), false]);
  } else if (field.scalar === ScalarType.INT64 || field.scalar === ScalarType.UINT32) {
    for (const number of ["-1", "9223372036854775807", "-9223372036854775808", "4294967295"]) {
      cases.push([number, at(WireType.Varint).int64(number).finish(), false]);
    }
  }
  return cases;
}

/** Sends bytes to methods of one listener. */
export class WireClient implements Disposable {
  readonly #client: Client;
  readonly #metadata = new Metadata();

  constructor(address: string, token: string) {
    this.#client = new Client(address, credentials.createInsecure());
    this.#metadata.set("authorization", `Bearer ${token}`);
  }

  /** What came first: an answer, the end, or a refusal. A stream that is silent has been let in. */
  async send({ bytes, method }: WireCase): Promise<Verdict> {
    const same = (value: Buffer) => value;
    const options = { deadline: Date.now() + 10_000 };
    const call: ClientReadableStream<Buffer> = this.#client.makeServerStreamRequest(
      method,
      same,
      same,
      Buffer.from(bytes),
      this.#metadata,
      options,
    );
    const verdict = Promise.withResolvers<Verdict>();
    const ok = () => verdict.resolve({ code: "ok", field: undefined, detail: "" });
    const silent = STREAMS.test(method) ? setTimeout(ok, SILENCE_MS) : undefined;
    call.on("data", ok);
    call.on("end", ok);
    call.on("error", (error: ServiceError) => verdict.resolve(verdictOf(error)));
    try {
      return await verdict.promise;
    } finally {
      clearTimeout(silent);
      call.cancel();
    }
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

const STREAMS = /\/(Watch|ReadOutput)/;

function verdictOf(error: ServiceError): Verdict {
  const bytes = error.metadata.get(STATUS_DETAILS_KEY)[0];
  const detail = bytes instanceof Uint8Array ? decodeStatusDetails(bytes) : undefined;
  // A deadline that passed here, not there, is a call that hangs.
  const code = error.code === status.DEADLINE_EXCEEDED ? "no answer" : codeOfGrpcStatus(error.code);
  return { code: detail?.code ?? code, field: detail?.field, detail: error.details };
}
