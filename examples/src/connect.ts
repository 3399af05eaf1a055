// Connect tokens: authenticated HTTP and WebSocket into a sandbox that nothing else can reach, and that reaches nothing.
import { Sandbox } from "@sallyport/sdk";
import { CONNECT_SERVER } from "./connect-server.ts";

// Start a sandbox with a server running on port 8080. (`python3 -m http.server 8080` would do for HTTP alone.)
await using sandbox = await Sandbox.create(["python3", "-c", CONNECT_SERVER], { blockNetwork: true });

// Create a connect token, optionally including arbitrary user metadata.
const creds = await sandbox.createConnectToken({ userMetadata: { user_id: "foo" } });
console.log(creds); // shows all but the token

// Make an HTTP request; the token goes in the Authorization header.
const response = await creds.fetch("/hello?to=you");
const { path, user, authorization } = (await response.json()) as { path: string; user: unknown; authorization: null };
console.log(`HTTP ${response.status}: ${path} by ${JSON.stringify(user)}, authorization: ${authorization ?? "none"}`);

// A WebSocket, likewise.
const socket = creds.webSocket("/");
await new Promise((resolve, reject) => {
  socket.addEventListener("open", resolve, { once: true });
  socket.addEventListener("error", reject, { once: true });
});
const answered = new Promise<MessageEvent>((resolve) => socket.addEventListener("message", resolve, { once: true }));
socket.send("Hello world!");
console.log(`WebSocket: ${(await answered).data}`);
socket.close();

// Any other client does, too: with the header, or with the token in a `_modal_connect_token` query param, for which a
// browser gets a cookie. Whoever reads such a URL may use the port: hand it to the one whom it is for, and print it nowhere.
const url = `${creds.url}/?_modal_connect_token=${creds.token}`;
const wsUrl = url.replace("https://", "wss://");
console.log(`for others: ${new URL(url).origin} and ${new URL(wsUrl).origin}`);

// Revoked, it counts nowhere any more.
await creds.revoke();
console.log(`revoked: HTTP ${(await creds.fetch("/")).status}`);
