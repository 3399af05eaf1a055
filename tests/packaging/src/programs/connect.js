// A user's program that reaches a server in a sandbox by a connect token, in plain JavaScript, so that every runtime runs
// it as it is. It prints one line of JSON; what it says is judged by the test.
import process from "node:process";
import { inspect } from "node:util";
import { SallyportError, Sandbox } from "@sallyport/sdk";

/** @type {Record<string, unknown>} */
const seen = {};
const sandbox = await Sandbox.create();
const token = await sandbox.createConnectToken({ userMetadata: { user_id: "foo" } });
seen.shown = inspect(token, { showHidden: true }).includes(token.token) || JSON.stringify(token).includes(token.token);

/** @param {Response} response */
const authorizationIn = async (response) => (await response.json()).headers.authorization === `Bearer ${token.token}`;

const response = await token.fetch("/hello?a=1", { method: "POST", body: "text" });
const { method, target, body, headers } = await response.json();
seen.fetched = [response instanceof Response, response.status, method, target, body];
seen.authorized = headers.authorization === `Bearer ${token.token}`;
seen.redirected = await authorizationIn(await token.fetch("/redirect?to=/there"));
const elsewhere = encodeURIComponent(process.env.ELSEWHERE ?? "");
seen.misled = await token.fetch(`/redirect?to=${elsewhere}`).then(
  () => "followed",
  (/** @type {unknown} */ error) => SallyportError.is(error) && error.code,
);
seen.manual = (await token.fetch(`/redirect?to=${elsewhere}`, { redirect: "manual" })).status;
const form = new FormData();
form.set("a", "b");
const { body: written } = await (await token.fetch("/", { method: "POST", body: form })).json();
seen.form = written.includes('name="a"');
seen.refused = await token.fetch("https://elsewhere.localhost/").then(
  () => "none",
  (/** @type {unknown} */ error) => SallyportError.is(error) && error.field,
);
seen.global = await fetch(`${token.url}/`).then(
  () => "reached",
  () => "not reached",
);

const socket = token.webSocket("/ws", "one");
/** @type {string[]} */
const messages = [];
const done = new Promise((resolve, reject) => {
  socket.addEventListener("error", () => reject(new Error("the WebSocket failed")));
  socket.addEventListener("close", resolve, { once: true });
  socket.addEventListener("message", ({ data }) => {
    messages.push(String(data));
    if (messages.length === 1) socket.send("echo");
    else socket.close();
  });
});
await done;
const handshake = JSON.parse(messages[0] ?? "{}");
seen.webSocket = [handshake.target, handshake.headers.authorization === `Bearer ${token.token}`, messages[1]];
seen.protocol = socket.protocol;
seen.socketShown = socket.url.includes("secret") || inspect(socket, { showHidden: true }).includes("secret");
seen.revoked = await token.revoke();
await sandbox.terminate();
console.log(JSON.stringify(seen));
