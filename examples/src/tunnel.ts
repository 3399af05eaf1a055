// Tunnels: a public address of a port of a sandbox, for any protocol and any client, without a token.
import { once } from "node:events";
import { connect } from "node:net";
import { Sandbox } from "@sallyport/sdk";

// Two servers that handle authentication themselves, or need none; the sandbox itself reaches nothing.
const SERVERS = "python3 -m http.server 9000 & exec python3 -m http.server 12345";
await using sandbox = await Sandbox.create(["sh", "-c", SERVERS], {
  encryptedPorts: [12345],
  unencryptedPorts: [9000],
  blockNetwork: true,
});

// Waits until the edges serve them. The server need not be up yet: a connection waits for it for a moment.
const tunnels = await sandbox.tunnels();
const tunnel = tunnels[12345];
console.log(`Connecting to ${tunnel.url}...`);
const response = await tunnel.fetch("/etc/");
const page = await response.text();
console.log(`HTTP ${response.status}: ${/<title>(.*)<\/title>/.exec(page)?.[1]}`);

// A raw port has a host and a port of its own, in plain TCP. (It has a TLS address, too.)
const [host, port] = tunnels[9000].tcpSocket ?? tunnel.tlsSocket;
const socket = connect({ host, port });
socket.write("GET / HTTP/1.0\r\n\r\n");
const [first] = (await once(socket, "data")) as [Buffer];
console.log(`${host}:${port} says ${first.toString().split("\r\n")[0]}`);
socket.destroy();
