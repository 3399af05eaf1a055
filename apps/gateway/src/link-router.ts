// What init says goes to those whom it concerns: the tenant's processes, or the platform's own beside them.
import type { StreamProcesses } from "./files/stream-processes.ts";
import { RESERVED_EXEC_ID_PREFIX } from "./files/stream-processes.ts";
import type { InitConnection } from "./init/connection.ts";
import { InitProtocolError } from "./init/errors.ts";
import type { LinkHandler } from "./init/link.ts";
import type { InitMessage } from "./init/messages.ts";
import type { Processes } from "./processes.ts";

export class LinkRouter implements LinkHandler {
  readonly #processes: Processes;
  readonly #streams: StreamProcesses;

  constructor(processes: Processes, streams: StreamProcesses) {
    this.#processes = processes;
    this.#streams = streams;
  }

  connected(connection: InitConnection): void {
    const { processes } = connection.welcome;
    if (new Set(processes.map(({ handle }) => handle)).size !== processes.length) {
      throw new InitProtocolError("a process listed twice");
    }
    this.#processes.connected(
      connection,
      processes.filter(({ execId }) => !isReserved(execId)),
    );
    this.#streams.connected(
      connection,
      processes.filter(({ execId }) => isReserved(execId)),
    );
  }

  message(message: InitMessage): void {
    switch (message.type) {
      case "started": {
        const reserved = isReserved(message.execId);
        if (reserved ? this.#processes.owns(message.handle) : this.#streams.owns(message.handle)) {
          throw new InitProtocolError("a handle that another process has");
        }
        if (reserved) this.#streams.message(message);
        else this.#processes.message(message);
        return;
      }
      case "startFailed":
        if (isReserved(message.execId)) this.#streams.message(message);
        else this.#processes.message(message);
        return;
      case "output":
      case "outputEnd":
      case "exit":
      case "inputAccepted":
        if (this.#streams.owns(message.handle)) this.#streams.message(message);
        else this.#processes.message(message);
        return;
      case "welcome":
      case "process":
      case "pong":
        throw new InitProtocolError(`a ${message.type} message in the middle`);
    }
  }

  disconnected(): void {
    this.#processes.disconnected();
    this.#streams.disconnected();
  }

  failed(error: InitProtocolError): void {
    this.#processes.failed(error);
  }
}

function isReserved(execId: string): boolean {
  return execId.startsWith(RESERVED_EXEC_ID_PREFIX);
}
