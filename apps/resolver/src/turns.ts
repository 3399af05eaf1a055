// Who may ask the host's resolvers next: so many look-ups at once for one asker and in all, and those who wait take turns,
// asker by asker, so that one who asks for ever does not keep another waiting.

export interface TurnsOptions {
  /** At once, for one asker. */
  readonly perClient: number;
  /** At once, in all. */
  readonly total: number;
  /** Of one asker, waiting beside those. */
  readonly waiting: number;
}

interface Client {
  running: number;
  readonly waiting: (() => void)[];
}

export class Turns {
  readonly #options: TurnsOptions;
  /** In the order of their turns; none is here that neither runs nor waits. */
  readonly #clients = new Map<string, Client>();
  #running = 0;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** Resolves when it is this one's turn; what it gives ends the turn. Undefined: too many of this asker wait. */
  take(name: string): Promise<Disposable> | undefined {
    const client = this.#clients.get(name) ?? { running: 0, waiting: [] };
    if (client.waiting.length >= this.#options.waiting) return undefined;
    this.#clients.set(name, client);
    const turn = new Promise<Disposable>((resolve) => {
      client.waiting.push(() => resolve(this.#turn(name, client)));
    });
    this.#next();
    return turn;
  }

  #turn(name: string, client: Client): Disposable {
    let over = false;
    return {
      [Symbol.dispose]: () => {
        if (over) return;
        over = true;
        client.running -= 1;
        this.#running -= 1;
        if (client.running === 0 && client.waiting.length === 0) this.#clients.delete(name);
        this.#next();
      },
    };
  }

  /** Begins what may begin, one of each asker at a time: who has begun one goes to the end of the order. */
  #next(): void {
    for (const [name, client] of this.#clients) {
      if (this.#running >= this.#options.total) return;
      if (client.running >= this.#options.perClient) continue;
      const begin = client.waiting.shift();
      if (begin === undefined) continue;
      client.running += 1;
      this.#running += 1;
      // The loop comes by here again.
      this.#clients.delete(name);
      this.#clients.set(name, client);
      begin();
    }
  }
}
