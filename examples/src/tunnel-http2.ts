// A tunnel that speaks HTTP/2: TLS ends at the edge, and the sandbox speaks HTTP/2 with prior knowledge (h2c).
import { Sandbox } from "@sallyport/sdk";
import { HTTP2_SERVER } from "./http2-server.ts";

const port = 4359;
await using sandbox = await Sandbox.create({ h2Ports: [port] });
const process = await sandbox.exec(["python3", "-c", HTTP2_SERVER, String(port)]);

const tunnel = await sandbox.tunnel(port);
console.log(`Tunnel URL: ${tunnel.url}`);
const response = await tunnel.fetch("/");
console.log(`HTTP ${response.status}: ${await response.text()}`);
await process.kill();
