import { describe, expect, it } from "vitest";
import * as grpc from "./grpc.ts";
import {
  codeOfGrpcStatus,
  decodeStatusDetails,
  ERROR_CODES,
  encodeStatusDetails,
  isErrorCode,
  isId,
  METHOD_PRINCIPALS,
  Status,
} from "./index.ts";

describe("error details", () => {
  it("survive the wire", () => {
    const detail = {
      code: "InvalidArgument" as const,
      field: "network.allow[2]",
      hint: "clear the host bits",
      requestId: "r-1",
      retryable: false,
      retryAfterMs: undefined,
    };
    expect(decodeStatusDetails(encodeStatusDetails("no", detail))).toEqual(detail);
    expect(Status.decode(encodeStatusDetails("no", detail))).toMatchObject({ code: 3, message: "no" });
  });

  it("of somebody else are none", () => {
    expect(decodeStatusDetails(new Uint8Array([255, 255, 255]))).toBeUndefined();
    expect(decodeStatusDetails(Status.encode({ code: 3, message: "x", details: [] }).finish())).toBeUndefined();
  });
});

describe("error codes", () => {
  it("come back from a bare gRPC status, unknown ones as Internal", () => {
    for (const code of ["InvalidArgument", "NotFound", "Unavailable", "Cancelled"] as const) {
      expect(codeOfGrpcStatus(ERROR_CODES[code].grpc)).toBe(code);
    }
    expect(codeOfGrpcStatus(2)).toBe("Internal");
    expect(isErrorCode("toString")).toBe(false);
  });
});

describe("ids", () => {
  it("are prefix, dash and 26 lower-case Crockford characters", () => {
    expect(isId("sandbox", "sb-01hzzzzzzzzzzzzzzzzzzzzzzz")).toBe(true);
    for (const bad of [
      "sb-01HZZZZZZZZZZZZZZZZZZZZZZZ",
      "in-01hzzzzzzzzzzzzzzzzzzzzzzz",
      "sb-",
      "sb-01hzzzzzzzzzzzzzzzzzzzzzzi",
    ]) {
      expect(isId("sandbox", bad), bad).toBe(false);
    }
  });
});

describe("principals", () => {
  it("are named for every method of every service", () => {
    const services = Object.entries(grpc).filter(([name]) => name.endsWith("Service"));
    const paths = services.flatMap(([, service]) =>
      Object.values(service as Record<string, { path?: string }>).map((method) => method.path),
    );
    const methods = paths.filter((path) => path !== undefined);
    expect(methods.length).toBeGreaterThan(20);
    expect(Object.keys(METHOD_PRINCIPALS).sort()).toEqual([...new Set(methods)].sort());
  });
});
