// A program: http-proxy-3 with tokens verified by jose, connections to the app kept alive.
import { Agent, createServer } from "node:http";
import { createProxyServer } from "http-proxy-3";
import { importSPKI, jwtVerify } from "jose";
import type { NodePeerOptions } from "./connect-node-peers.ts";

const { audience, issuer, port, publicKey, socketPath } = JSON.parse(process.argv[2] ?? "") as NodePeerOptions;
const key = await importSPKI(publicKey, "ES256");
const agent = new Agent({ keepAlive: true });
const proxy = createProxyServer({ agent, target: { socketPath, host: "app", port: 80 } });
const server = createServer((request, response) => {
  const [, token = ""] = /^Bearer (.+)$/.exec(request.headers.authorization ?? "") ?? [];
  jwtVerify(token, key, { algorithms: ["ES256"], audience, issuer }).then(
    ({ payload }) => {
      request.headers["x-verified-user-data"] = String(payload["ud"]);
      delete request.headers.authorization;
      proxy.web(request, response);
    },
    () => response.writeHead(401).end(),
  );
});
server.listen(port, "127.0.0.1");
