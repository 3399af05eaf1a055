import { describe, expect, it } from "vitest";
import { createLogger } from "./logger.ts";

describe("the logger", () => {
  it("redacts secrets by key, also below the top", () => {
    const lines: string[] = [];
    const logger = createLogger("test", "info", { write: (line) => lines.push(line) });
    logger.info({ token: "t0", call: { authorization: "t1", deep: { secret: "t2" } }, argv: ["t3"] }, "hello");
    logger.child({ password: "t4" }).warn({ initSecret: "t5" }, "again");
    expect(lines).toHaveLength(2);
    expect(lines.join("")).not.toMatch(/t[0-5]"/);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ name: "test", msg: "hello", token: "[redacted]" });
  });
});
