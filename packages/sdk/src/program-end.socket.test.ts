// A program that has awaited everything ends by itself, with no client closed.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { FakePlatform } from "@sallyport/testkit/fake-platform";
import { expect, it } from "vitest";

const index = fileURLToPath(new URL("./index.ts", import.meta.url));

async function runProgram(platform: FakePlatform, body: string): Promise<{ code: number; output: string }> {
  const source = `import { Sandbox } from ${JSON.stringify(index)};\n${body}`;
  const args = ["--conditions=@sallyport/source", "--input-type=module-typescript", "-e", source];
  const env = { ...process.env, SALLYPORT_API_URL: platform.apiUrl, SALLYPORT_TOKEN: platform.token };
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"], timeout: 10_000 });
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  return { code: child.exitCode ?? -1, output: output + errors };
}

it("ends after the last await", async () => {
  await using platform = await FakePlatform.start();
  const body = `
    await using sandbox = await Sandbox.create();
    const process = await sandbox.exec(["count", "100000", "1"]);
    const reader = process.stdout.getReader();
    await reader.read();
    console.log((await sandbox.run(["echo", "hello"])).stdout.trim());`;
  expect(await runProgram(platform, body)).toEqual({ code: 0, output: "hello\n" });
  const [sandbox] = platform.sandboxes.values();
  expect(sandbox?.view.outcome?.exitCode).toBe(137);
});

it("ends after detach, though an output is still open", async () => {
  await using platform = await FakePlatform.start();
  const body = `
    const sandbox = await Sandbox.create(["count", "100000", "1"]);
    await sandbox.stdout.getReader().read();
    await sandbox.detach();
    console.log(sandbox.id);`;
  const { code, output } = await runProgram(platform, body);
  expect({ code, output: output.trim() }).toEqual({ code: 0, output: [...platform.sandboxes.keys()][0] });
});
