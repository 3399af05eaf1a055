// Where configuration comes from, and that no secret shows.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { profilePath, resolveConfig } from "./config.ts";
import { Client, SallyportError } from "./index.ts";

const directory = mkdtempSync(join(tmpdir(), "sallyport-config-"));
afterAll(() => rmSync(directory, { recursive: true }));

function home(name: string, profile?: string): Record<string, string> {
  const config = join(directory, name);
  mkdirSync(join(config, "sallyport"), { recursive: true });
  if (profile !== undefined) writeFileSync(join(config, "sallyport", "config.json"), profile);
  return { XDG_CONFIG_HOME: config };
}

function problem(run: () => unknown): SallyportError {
  try {
    run();
  } catch (error) {
    if (SallyportError.is(error)) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const empty = home("empty");

describe("resolveConfig", () => {
  it("goes from options over the environment to the profile", () => {
    const env = { ...home("full", '{"url":"http://127.0.0.1:1","token":"from-file"}') };
    expect(resolveConfig({}, env)).toEqual({ address: "127.0.0.1:1", roots: undefined, token: "from-file" });
    const withEnv = { ...env, SALLYPORT_API_URL: "http://[::1]:2", SALLYPORT_TOKEN: "from-env" };
    expect(resolveConfig({}, withEnv)).toMatchObject({ address: "[::1]:2", token: "from-env" });
    expect(resolveConfig({ url: "http://localhost:3/", token: "given" }, withEnv)).toMatchObject({
      address: "localhost:3",
      token: "given",
    });
    expect(resolveConfig({}, { ...env, SALLYPORT_TOKEN: "" }).token).toBe("from-file");
  });

  it("says what is missing and what to do", () => {
    const noUrl = problem(() => resolveConfig({}, empty));
    expect(noUrl).toMatchObject({ code: "InvalidArgument", field: "url" });
    expect(noUrl.hint).toContain("SALLYPORT_API_URL");
    const noToken = problem(() => resolveConfig({ url: "http://127.0.0.1:1" }, empty));
    expect(noToken).toMatchObject({ code: "InvalidArgument", field: "token" });
    expect(noToken.hint).toContain("sallyport api-token create");
  });

  it("keeps plaintext on loopback", () => {
    for (const host of ["127.0.0.1", "127.8.9.1", "[::1]", "localhost"]) {
      expect(resolveConfig({ url: `http://${host}:7350`, token: "t" }, empty).roots).toBeUndefined();
    }
    for (const host of ["198.51.100.7", "sallyport.example", "127.0.0.1.example", "[2001:db8::1]", "0.0.0.0"]) {
      expect(problem(() => resolveConfig({ url: `http://${host}:7350`, token: "t" }, empty)).field).toBe("url");
    }
    const secure = resolveConfig({ url: "https://sallyport.example", token: "t" }, empty);
    expect(secure.address).toBe("sallyport.example:443");
    expect(secure.roots?.toString()).toContain("BEGIN CERTIFICATE");
  });

  it("takes a file of certificate authorities", () => {
    const caFile = join(directory, "ca.pem");
    writeFileSync(caFile, "the only root");
    const options = { url: "https://h", token: "t" };
    expect(resolveConfig({ ...options, caFile }, empty).roots?.toString()).toBe("the only root");
    expect(resolveConfig(options, { ...empty, SALLYPORT_CA_FILE: caFile }).roots?.toString()).toBe("the only root");
    expect(problem(() => resolveConfig({ ...options, caFile: `${caFile}.not` }, empty)).field).toBe("caFile");
  });

  it("quotes no secret", () => {
    const secret = "s3cret";
    const problems = [
      problem(() => resolveConfig({ url: `https://user:${secret}@h` }, empty)),
      problem(() => resolveConfig({ url: `https://h/?token=${secret}` }, empty)),
      problem(() => resolveConfig({ url: `ftp${secret}` }, empty)),
      problem(() => resolveConfig({ url: "https://h", token: `${secret}\n${secret}` }, empty)),
      problem(() => resolveConfig({}, home("bad", `{"token": "${secret}`))),
    ];
    for (const error of problems) expect(inspect(error, { showHidden: true, depth: 9 })).not.toContain(secret);
    expect(inspect(new Client({ url: "http://127.0.0.1:1", token: secret }), { showHidden: true })).not.toContain(
      secret,
    );
  });

  it("knows where the profile is", () => {
    expect(profilePath({ HOME: "/home/ann" })).toBe("/home/ann/.config/sallyport/config.json");
    expect(profilePath({ XDG_CONFIG_HOME: "/cfg" })).toBe("/cfg/sallyport/config.json");
  });
});
