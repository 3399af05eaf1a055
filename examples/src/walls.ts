// What no policy opens: the host by any of its addresses, and other sandboxes.
import { Sandbox } from "@sallyport/sdk";
import { tries } from "./tries.ts";

await using server = await Sandbox.create(["python3", "-m", "http.server", "--bind", "::", "8080"]);
const ownAddress =
  "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('198.51.100.10', 9)); print(s.getsockname()[0])";
const neighbour = (await server.run(["python3", "-c", ownAddress], { check: true })).stdout.trim();

await using sandbox = await Sandbox.create({ network: "open" });
const host = process.env["TARGET_HOST"] ?? "198.51.100.1";
const apiPort = Number(new URL(process.env["SALLYPORT_API_URL"] ?? "http://127.0.0.1:7350").port);
console.log(`the host, ${host}: ${await tries(sandbox, host, apiPort)}`);
console.log(`cloud metadata, 169.254.169.254: ${await tries(sandbox, "169.254.169.254", 80)}`);
console.log(`another sandbox, ${neighbour}: ${await tries(sandbox, neighbour, 8080)}`);
