import { startPlatform } from "@sallyport/testkit/platform";
import { Client, Sandbox } from "@sallyport/sdk";
import { SandboxIOClient, SandboxServiceClient, callServerStream, callUnary } from "@sallyport/contracts/grpc";
import { OutputStream } from "@sallyport/contracts";
import { credentials, Metadata } from "@grpc/grpc-js";
await using platform = await startPlatform();
const { token } = await platform.createWorkspace("perf");
await using client = new Client({ url: platform.apiUrl, token });
await using sandbox = await Sandbox.create({ client, cpu: 2, memoryMiB: 1024 });
await sandbox.run(["sh", "-c", "head -c 30000000 /dev/zero > /root/f"]);
const md = (t: string) => { const m = new Metadata(); m.set("authorization", `Bearer ${t}`); return m; };
const api = new SandboxServiceClient(platform.apiUrl.replace("http://", ""), credentials.createInsecure());
const { ioAccess } = await callUnary(api, api.getIoAccess, { sandboxId: sandbox.id }, { metadata: md(token) });
const variants = [65535, 262144, 1048576, 4194304];
const ios = variants.map((w) => new SandboxIOClient(ioAccess!.address, credentials.createInsecure(), { "grpc-node.flow_control_window": w, "grpc.use_local_subchannel_pool": 1 } as never));
for (let round = 0; round < 3; round += 1) for (const [i, io] of ios.entries()) {
  let t = performance.now(); let n = 0;
  for await (const { event } of callServerStream(io, io.readFile, { path: "/root/f", offset: 0, length: undefined }, { metadata: md(ioAccess!.token) })) if (event?.$case === "data") n += event.value.length;
  const down = n / 1e3 / (performance.now() - t);
  const id = `s${round}${i}`; t = performance.now(); n = 0;
  await callUnary(io, io.startExec, { execId: id, command: { argv: ["head", "-c", "30000000", "/dev/zero"] }, env: {}, stdin: false }, { metadata: md(ioAccess!.token) });
  for await (const { event } of callServerStream(io, io.readOutput, { execId: id, stream: OutputStream.STDOUT, offset: 0, follow: true }, { metadata: md(ioAccess!.token) })) if (event?.$case === "chunk") n += event.value.data.length;
  console.log(`window ${variants[i]}: file ${down.toFixed(1)} MB/s, stdout ${(n / 1e3 / (performance.now() - t)).toFixed(1)} MB/s`);
}
for (const io of ios) io.close(); api.close();
