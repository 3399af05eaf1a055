import { describe, expect, it } from "vitest";
import { z } from "zod";
import { absolutePath, ConfigError, port, readEnv } from "./env.ts";

const SHAPE = { HOME_DIR: absolutePath, PORT: port.default(1), NAME: z.string().optional() };

describe("readEnv", () => {
  it("types, defaults and freezes", () => {
    const config = readEnv(SHAPE, { HOME_DIR: "/x", PORT: "80", OTHER: "ignored" });
    expect(config).toEqual({ HOME_DIR: "/x", PORT: 80 });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it("takes an empty value as unset", () => {
    expect(readEnv(SHAPE, { HOME_DIR: "/x", PORT: "" }).PORT).toBe(1);
  });

  it("tells every problem at once, by name and without the value", () => {
    const read = () => readEnv(SHAPE, { HOME_DIR: "s3cret", PORT: "70000" });
    expect(read).toThrow(ConfigError);
    try {
      read();
    } catch (error) {
      expect((error as ConfigError).problems).toHaveLength(2);
      expect((error as ConfigError).message).toMatch(/HOME_DIR[\s\S]*PORT/);
      expect((error as ConfigError).message).not.toContain("s3cret");
    }
  });
});
