import type { Logger } from "@sallyport/appkit/logger";
import { silentLogger } from "@sallyport/appkit/logger";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { RareWarning } from "./rare-warning.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

it("tells once a minute, and how often it was true before", () => {
  const told: [fields: object, message: string][] = [];
  const logger: Logger = { ...silentLogger, warn: (fields, message) => void told.push([fields, message]) };
  const warning = new RareWarning(logger, "no certificate");
  for (let count = 0; count < 1_000; count += 1) warning.tell({ host: `h${count}` });
  vi.advanceTimersByTime(59_999);
  warning.tell({ host: "late" });
  expect(told).toEqual([[{ host: "h0", before: 0 }, "no certificate"]]);
  vi.advanceTimersByTime(1);
  warning.tell({ host: "later" });
  expect(told.slice(1)).toEqual([[{ host: "later", before: 1_000 }, "no certificate"]]);
});
