// Apps: named groups of sandboxes.
import { callUnary } from "@sallyport/contracts/grpc";
import { connectionsOf } from "./client.ts";
import { sdkError } from "./errors.ts";
import type { CallOptions } from "./scope.ts";
import { scopeOf } from "./transport.ts";

/** How {@link App.lookup} looks. */
export interface AppLookupOptions extends CallOptions {
  /** Makes the app when there is none of this name. */
  readonly createIfMissing?: boolean | undefined;
}

/** A named group of sandboxes in a workspace. */
export class App {
  /** `ap-` and 26 characters. */
  readonly id: string;
  /** 1 to 63 of `[a-z0-9-]`, unique in the workspace. */
  readonly name: string;

  private constructor(id: string, name: string) {
    this.id = id;
    this.name = name;
  }

  /**
   * Finds an app by name.
   *
   * @throws SallyportError `NotFound` unless `createIfMissing`; `InvalidArgument` with field `name`; `Unauthenticated`.
   */
  static async lookup(name: string, options: AppLookupOptions = {}): Promise<App> {
    const connections = connectionsOf(options.client);
    const scope = scopeOf("App.lookup", options, connections, 60_000);
    const request = { name, createIfMissing: options.createIfMissing ?? false };
    const { app } = await connections.callApi(scope, ({ apps }, call) =>
      callUnary(apps, apps.lookupApp, request, call),
    );
    if (app === undefined) throw sdkError("Internal", "the platform answered without an app");
    return new App(app.id, app.name);
  }
}
