// Images end to end, on real gVisor: pulled from a registry of the test's own by the engine in its slot, built, started from.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Image, Registry, SallyportError, Sandbox } from "@sallyport/sdk";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { newWorkspace } from "./workspace.ts";

const targets = inject("targets");
const registry = inject("registry");
let client: Awaited<ReturnType<typeof newWorkspace>>["client"];
let directory: string;
beforeAll(async () => {
  client = (await newWorkspace("images")).client;
  directory = await mkdtemp(join(tmpdir(), "context-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function failure(promise: Promise<unknown>): Promise<SallyportError> {
  const error: unknown = await promise.then(
    () => new Error("it did not fail"),
    (reason: unknown) => reason,
  );
  if (!SallyportError.is(error)) throw error;
  return error;
}

let serial = 0;

/** A Dockerfile, in a directory of its own. */
async function dockerfile(text: string, files: Readonly<Record<string, string>> = {}): Promise<Image> {
  serial += 1;
  const place = await mkdtemp(join(directory, `${serial}-`));
  await writeFile(join(place, "Dockerfile"), text);
  for (const [name, content] of Object.entries(files)) await writeFile(join(place, name), content);
  return Image.fromDockerfile(join(place, "Dockerfile"));
}

describe("an image of a registry", () => {
  it("gives its files, environment, directory and user, and its command to those who ask for it", async () => {
    const lines: string[] = [];
    const image = await Image.fromRegistry(`${registry.name}/app:1`).build({
      client,
      onLog: (line) => lines.push(line),
    });
    expect(lines.join("\n")).toContain("Pulling from app");
    expect(image.info).toMatchObject({ state: "ready", command: ["cat", "greeting"], workdir: "/srv/app" });
    await using sandbox = await Sandbox.create({ client, image, env: { LEVEL: "create" } });
    const { stdout } = await sandbox.run(["sh", "-c", "id -u; id -g; pwd; cat greeting; echo $GREETING $LEVEL"], {
      check: true,
    });
    expect(stdout).toBe("1000\n1001\n/srv/app\nhello from the image\nhello create\n");
    await using own = await Sandbox.create(image.info?.command ?? [], { client, image });
    expect(await own.stdout.text()).toBe("hello from the image\n");
    expect((await own.wait()).exitCode).toBe(0);
  });

  it("is named by a reference in a create, and made once", async () => {
    await using sandbox = await Sandbox.create({ client, image: `${registry.name}/app:1` });
    const images = [];
    for await (const image of Image.list({ client })) images.push(image);
    expect(images).toHaveLength(1);
    expect(sandbox.info.image).toBe(images[0]?.id);
  });

  it("is pulled with the workspace's credential where that is asked for, and the password is shown nowhere", async () => {
    const image = Image.fromRegistry(`${registry.privateName}/app:1`);
    const without = await failure(image.build({ client }));
    expect(without).toMatchObject({ code: "ImageBuildFailed" });
    expect(without.message).toContain("no credential for this registry");
    await Registry.login(
      registry.privateName,
      { username: registry.username, password: "not-the-password" },
      { client },
    );
    const wrong = await failure(image.build({ client }));
    expect(wrong.message).toContain("unauthorized");
    expect(wrong.message).not.toContain("not-the-password");
    await Registry.login(registry.privateName, registry, { client });
    expect((await image.build({ client })).info?.state).toBe("ready");
    expect(JSON.stringify(await Registry.list({ client }))).not.toContain(registry.password);
    await Registry.logout(registry.privateName, { client });
    expect(await Registry.list({ client })).toEqual([]);
  });

  it("that is not there says so", async () => {
    const error = await failure(Image.fromRegistry(`${registry.name}/nothing:1`).build({ client }));
    expect(error.message).toContain("manifest unknown");
    expect(error.code).toBe("ImageBuildFailed");
  });

  it("that is hostile harms nobody", async () => {
    const image = await Image.fromRegistry(`${registry.name}/hostile:1`).build({ client });
    expect(image.info?.state).toBe("ready");
  });
});

describe("an image of a Dockerfile", () => {
  it("is built under gVisor, and reaches what an open sandbox reaches and nothing else", async () => {
    const probe = (name: string, address: string, port: number) =>
      `timeout 3 bash -c 'cat </dev/tcp/${address}/${port}' && echo ${name} answers || echo ${name} is out of reach;`;
    const image = await dockerfile(
      [
        `FROM ${registry.name}/base:1`,
        "RUN cat /proc/version; dmesg | head -1; id",
        `RUN ${probe("metadata", "169.254.169.254", 80)} ${probe("host", targets.hostIpv4, Number(new URL(inject("apiUrl")).port))} true`,
        `RUN ${probe("target", targets.outsideIpv4, targets.port)} true`,
        `RUN ${probe("name", "target.example", targets.port)} true`,
        "COPY note.txt /note.txt",
        "RUN mkdir /made && echo built >/made/it && head -c 3000000 /dev/urandom >/made/big && sha256sum /made/big >/made/sum",
        "ENV BUILT=yes",
        "WORKDIR /made",
      ].join("\n"),
      { "note.txt": "a note\n", ".dockerignore": "secret*\n", "secret.txt": "never sent" },
    );
    const lines: string[] = [];
    const made = await image.build({ client, onLog: (line) => lines.push(line) });
    const log = lines.join("\n");
    expect(log).toContain("Starting gVisor");
    expect(log).toContain("Linux version 4.4.0");
    expect(log).toContain("metadata is out of reach");
    expect(log).toContain("host is out of reach");
    expect(log).toContain(`target ${targets.outsideIpv4}`);
    expect(log).toContain("name answers");
    await using sandbox = await Sandbox.create({ client, image: made });
    const { stdout } = await sandbox.run(["sh", "-c", "pwd; cat it /note.txt; echo $BUILT; sha256sum -c sum; ls /"], {
      check: true,
    });
    expect(stdout).toContain("/made\nbuilt\na note\nyes\n/made/big: OK\n");
    expect(stdout).not.toContain("secret");
  });

  it("is found again by its source, and its steps are when it is made anew", async () => {
    const text = `FROM ${registry.name}/base:1\nRUN echo a step that is kept >/kept`;
    const first = await (await dockerfile(text)).build({ client });
    const again = await (await dockerfile(text)).build({ client });
    expect(again.info?.id).toBe(first.info?.id);
    const lines: string[] = [];
    const anew = await (await dockerfile(text)).build({ client, force: true, onLog: (line) => lines.push(line) });
    expect(anew.info?.id).not.toBe(first.info?.id);
    expect(anew.info?.digest).toBe(first.info?.digest);
    expect(lines.filter((line) => line.includes("Using cache"))).not.toHaveLength(0);
    expect(lines.join("\n")).not.toContain("Running in");
  });

  it("fails with the step's own words", async () => {
    const image = await dockerfile(`FROM ${registry.name}/base:1\nRUN echo the reason why; exit 7`);
    const error = await failure(image.build({ client }));
    expect(error.code).toBe("ImageBuildFailed");
    expect(error.message).toContain("non-zero code: 7");
    expect(error.message).toContain("the reason why");
  });

  it("is refused before anything is built where it asks for what is not to be had", async () => {
    const add = await failure((await dockerfile(`FROM a\nADD http://${targets.hostIpv4}/x /x`)).build({ client }));
    expect(add).toMatchObject({ code: "InvalidArgument", field: "path" });
    const triggers = await failure((await dockerfile(`FROM ${registry.name}/triggers:1\nRUN id`)).build({ client }));
    expect(triggers.message).toContain("ONBUILD");
  });

  it("is cancelled by an abort, and the step with it", async () => {
    const image = await dockerfile(`FROM ${registry.name}/base:1\nRUN echo it begins; sleep 600`);
    const abort = new AbortController();
    const onLog = (line: string) => {
      if (line === "it begins") abort.abort(new Error("enough"));
    };
    const error = await failure(image.build({ client, signal: abort.signal, onLog }));
    expect(error.code).toBe("Cancelled");
    await expect
      .poll(
        async () => {
          for await (const info of Image.list({ client })) return info.state;
          return undefined;
        },
        { timeout: 20_000 },
      )
      .toBe("cancelled");
  });
});

describe("images of others", () => {
  it("are not there", async () => {
    const { client: other } = await newWorkspace("images-other");
    let id = "";
    for await (const image of Image.list({ client })) id = image.id;
    for (const attempt of [
      () => Image.fromId(id, { client: other }),
      () => Image.delete(id, { client: other }),
      () => Sandbox.create({ client: other, image: id }),
    ]) {
      expect((await failure(attempt())).code).toBe("NotFound");
    }
    const error = await failure(Image.fromId("im-01jd0000000000000000000000", { client: other }));
    expect((await failure(Image.fromId(id, { client: other }))).message).toBe(error.message.replace(/im-\S+/, id));
  });
});
