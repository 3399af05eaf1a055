// Something that the api is to know once: told with whatever goes there next, until that has arrived.

export class News<T> {
  #newest: { readonly value: T } | undefined;

  /** In place of what was not told yet. */
  put(value: T): void {
    this.#newest = { value };
  }

  /** Sends with the news, undefined where there is none; it is old once the sending has succeeded. */
  async with<R>(send: (value: T | undefined) => Promise<R>): Promise<R> {
    const told = this.#newest;
    const result = await send(told?.value);
    if (this.#newest === told) this.#newest = undefined;
    return result;
  }
}
