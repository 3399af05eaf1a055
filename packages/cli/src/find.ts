// A sandbox as people name it on a command line: by its id, by NAME, or by APP/NAME.
import { isId } from "@sallyport/contracts";
import type { Client } from "@sallyport/sdk";
import { Sandbox } from "@sallyport/sdk";

/** How every command describes the argument. */
export const SANDBOX_ARGUMENT = "its id, NAME or APP/NAME";

/** The sandbox that is meant. What is an id is one, whatever else is called so; a name alone is one of the app `default`. */
export function findSandbox(client: Client, text: string, signal: AbortSignal): Promise<Sandbox> {
  if (isId("sandbox", text)) return Sandbox.fromId(text, { client, signal });
  const slash = text.indexOf("/");
  const [app, name] = slash === -1 ? ["default", text] : [text.slice(0, slash), text.slice(slash + 1)];
  return Sandbox.fromName(app, name, { client, signal });
}
