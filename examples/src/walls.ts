// What no policy opens: the host by any of its addresses, and other sandboxes.
import { Sandbox } from "@sallyport/sdk";
import { showTries } from "./tries.ts";

const OWN_ADDRESS =
  "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('198.51.100.10', 9)); print(s.getsockname()[0])";

await using server = await Sandbox.create(["python3", "-m", "http.server", "--bind", "::", "8080"]);
const neighbour = (await server.run(["python3", "-c", OWN_ADDRESS], { check: true })).stdout.trim();

await using sandbox = await Sandbox.create({ network: "open" });
const apiPort = Number(new URL(process.env["SALLYPORT_API_URL"] ?? "http://127.0.0.1:7350").port);
await showTries(sandbox, [
  { label: "the host", address: process.env["TARGET_HOST"] ?? "198.51.100.1", port: apiPort },
  { label: "cloud metadata", address: "169.254.169.254", port: 80 },
  { label: "another sandbox", address: neighbour, port: 8080 },
]);
