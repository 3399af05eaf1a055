// Forwarded ports: a port of this machine that leads into a sandbox, by the platform's API. Nothing of it is public, and the
// port need not be declared.
import { Sandbox } from "@sallyport/sdk";

await using sandbox = await Sandbox.create({ blockNetwork: true });
const server = await sandbox.exec(["python3", "-u", "-m", "http.server", "5432"]);
for await (const line of server.stdout.lines()) {
  console.log(line);
  break; // it listens
}

await using forward = await sandbox.forward(5432);
const response = await fetch(`http://${forward.host}:${forward.port}/etc/`);
console.log(`HTTP ${response.status} by 127.0.0.1: ${/<title>(.*)<\/title>/.exec(await response.text())?.[1]}`);
