// A program: @fastify/http-proxy behind @fastify/jwt, set up as their documentation has it, verified tokens cached.
import proxy from "@fastify/http-proxy";
import jwt from "@fastify/jwt";
import fastify from "fastify";
import type { NodePeerOptions } from "./connect-node-peers.ts";

const options = JSON.parse(process.argv[2] ?? "") as NodePeerOptions;
const { audience: allowedAud, issuer: allowedIss, port, publicKey, socketPath } = options;
const server = fastify();
await server.register(jwt, {
  secret: { public: publicKey },
  verify: { algorithms: ["ES256"], allowedAud, allowedIss, cache: true },
});
server.addHook("preHandler", async (request) => {
  await request.jwtVerify();
  const { ud } = request.user as { readonly ud: string };
  request.headers["x-verified-user-data"] = ud;
  delete request.headers.authorization;
});
await server.register(proxy, { upstream: "http://app", undici: { connect: { socketPath } } });
await server.listen({ host: "127.0.0.1", port });
