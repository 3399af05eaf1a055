// The OpenAPI document is one, and names every route.
import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, it } from "vitest";
import { HTTP_ROUTES } from "./gen/http-routes.ts";
import { OPENAPI_JSON } from "./openapi.ts";

describe("the OpenAPI document", () => {
  it("is valid OpenAPI 3.1", async () => {
    const validator = new Validator();
    const result = await validator.validate(JSON.parse(OPENAPI_JSON) as Record<string, unknown>);
    expect(result.errors ?? []).toEqual([]);
    expect(result.valid).toBe(true);
    expect(validator.version).toBe("3.1");
  });

  it("has every route, with every parameter of its path, and no reference to nothing", () => {
    const document = JSON.parse(OPENAPI_JSON) as {
      paths: Record<string, Record<string, { parameters?: { in: string; name: string }[] }>>;
      components: { schemas: Record<string, unknown> };
    };
    for (const { path, verb } of HTTP_ROUTES) {
      const operation = document.paths[path]?.[verb.toLowerCase()];
      expect(operation, `${verb} ${path}`).toBeDefined();
      const inPath = operation?.parameters?.filter((one) => one.in === "path").map(({ name }) => `{${name}}`) ?? [];
      expect(inPath).toEqual(path.match(/\{\w+\}/g) ?? []);
    }
    for (const [, name = ""] of OPENAPI_JSON.matchAll(/#\/components\/schemas\/([^"]+)"/g)) {
      expect(document.components.schemas).toHaveProperty([name]);
    }
  });

  it("says what most things are", () => {
    expect(OPENAPI_JSON).toContain("NotFound also for another workspace's.");
    expect(OPENAPI_JSON).toContain("Commits a sandbox and, if asked, waits until it runs.");
    expect(OPENAPI_JSON).toContain("Frozen: it keeps its memory");
  });
});
