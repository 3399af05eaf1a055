// Settings on their way from one side to the other: what is taken out or bounded, and what has been acknowledged.
import type { Setting } from "@sallyport/dataplane/http2";
import {
  DEFAULT_HEADER_TABLE_BYTES,
  Http2Error,
  readSettings,
  SETTING,
  settingsFrame,
} from "@sallyport/dataplane/http2";
import type { Http2Limits } from "./limits.ts";

export class SettingsExchange {
  readonly #limits: Http2Limits;
  /** SETTINGS_HEADER_TABLE_SIZE of each SETTINGS that the sandbox is to acknowledge, in their order. */
  #clientSizes: (readonly number[])[] = [];
  /** SETTINGS that the client is to acknowledge; the first is our own. */
  #unacknowledgedByClient = 1;
  #isOwnAcknowledged = false;
  /** What the sandbox compresses with, after all that it has acknowledged. */
  #tableBytes = DEFAULT_HEADER_TABLE_BYTES;
  #owedTableBytes: number | undefined;
  #allowsConnectProtocol = false;

  constructor(limits: Http2Limits) {
    this.#limits = limits;
  }

  /** The relay's own, which are the first that a client gets: it has them whatever the sandbox does. */
  own(): Buffer {
    return settingsFrame([
      [SETTING.maxConcurrentStreams, this.#limits.maxStreams],
      [SETTING.maxHeaderListSize, this.#limits.maxHeaderListBytes],
    ]);
  }

  /** Whether the sandbox takes CONNECT with a protocol (RFC 8441). */
  get allowsConnectProtocol(): boolean {
    return this.#allowsConnectProtocol;
  }

  /**
   * What a client's settings are for the sandbox. Pushes are off: a promise is for whatever host it names. Frames stay at
   * 16,384 bytes, extensions at what is known.
   */
  fromClient(frame: Buffer): Buffer {
    const passed: Setting[] = [];
    const sizes: number[] = [];
    for (const setting of readSettings(frame)) {
      const [id, value] = setting;
      if (id === SETTING.headerTableSize) sizes.push(value);
      if (id === SETTING.headerTableSize || id === SETTING.initialWindowSize || id === SETTING.maxHeaderListSize) {
        passed.push(setting);
      }
    }
    this.#clientSizes.push(sizes);
    if (this.#clientSizes.length > this.#limits.maxUnacknowledgedSettings) throw tooMany();
    return settingsFrame([[SETTING.enablePush, 0], ...passed]);
  }

  /** What the sandbox's settings are for the client. Its header table is our decoder's, which stays at the default. */
  fromSandbox(frame: Buffer): Buffer {
    const passed: Setting[] = [];
    for (const setting of readSettings(frame)) {
      const [id, value] = setting;
      if (id === SETTING.enablePush && value !== 0) throw new Http2Error("PROTOCOL_ERROR", "a server turns pushes on");
      if (id === SETTING.maxConcurrentStreams) passed.push([id, Math.min(value, this.#limits.maxStreams)]);
      if (id === SETTING.maxHeaderListSize) passed.push([id, Math.min(value, this.#limits.maxHeaderListBytes)]);
      if (id === SETTING.initialWindowSize) passed.push(setting);
      if (id === SETTING.enableConnectProtocol && value === 1) {
        this.#allowsConnectProtocol = true;
        passed.push(setting);
      }
    }
    this.#unacknowledgedByClient += 1;
    if (this.#unacknowledgedByClient > this.#limits.maxUnacknowledgedSettings) throw tooMany();
    return settingsFrame(passed);
  }

  /** Whether the acknowledgement is for the sandbox. */
  acknowledgedByClient(): boolean {
    if (this.#unacknowledgedByClient === 0) throw unasked();
    this.#unacknowledgedByClient -= 1;
    if (this.#isOwnAcknowledged) return true;
    this.#isOwnAcknowledged = true;
    return false;
  }

  acknowledgedBySandbox(): void {
    const sizes = this.#clientSizes.shift();
    if (sizes === undefined) throw unasked();
    for (const size of sizes) {
      if (size < this.#tableBytes) this.#owedTableBytes = Math.min(size, this.#owedTableBytes ?? size);
      this.#tableBytes = size;
    }
  }

  /**
   * The table size that the next header block to the client has to begin with: once a lower one is acknowledged, a client
   * takes no block that does not (RFC 7541, section 4.2), and a block of our own may come before the sandbox's next one.
   * The sandbox says it again, which changes nothing.
   */
  takeOwedTableBytes(): number | undefined {
    const owed = this.#owedTableBytes;
    this.#owedTableBytes = undefined;
    return owed;
  }
}

function tooMany(): Http2Error {
  return new Http2Error("ENHANCE_YOUR_CALM", "too many SETTINGS wait to be acknowledged");
}

function unasked(): Http2Error {
  return new Http2Error("PROTOCOL_ERROR", "SETTINGS are acknowledged that nobody sent");
}
