// `exec` through Docker's API without its command line: what of `docker exec` is not the start of a client.
import { request } from "node:http";
import { z } from "zod";
import type { DockerPeer } from "./docker-peer.ts";

const idShape = z.object({ Id: z.string() });
const endShape = z.object({ Running: z.boolean(), ExitCode: z.int().nullable() });

/** Runs `true` in the resident, by three calls over a kept connection, to its exit code. */
export async function execByApi(docker: DockerPeer): Promise<void> {
  const socketPath = docker.engine.client[2]?.replace("unix://", "") ?? "";
  const call = (method: string, path: string, body?: unknown) => http(socketPath, method, path, body);
  const container = await docker.resident();
  const command = { Cmd: ["true"], AttachStdout: true, AttachStderr: true };
  const { Id: id } = idShape.parse(JSON.parse(await call("POST", `/containers/${container}/exec`, command)));
  await call("POST", `/exec/${id}/start`, { Detach: false });
  const end = endShape.parse(JSON.parse(await call("GET", `/exec/${id}/json`)));
  if (end.Running || end.ExitCode !== 0) throw new Error(`true ended with ${end.ExitCode}`);
}

function http(socketPath: string, method: string, path: string, body: unknown): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const call = request({ socketPath, method, path, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("error", reject);
      response.on("end", () => {
        if (response.statusCode !== undefined && response.statusCode < 300) resolve(text);
        else reject(new Error(`${method} ${path}: ${response.statusCode} ${text.slice(0, 200)}`));
      });
    });
    call.on("error", reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
