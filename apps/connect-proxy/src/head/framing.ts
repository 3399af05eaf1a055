// Where a message ends (RFC 9112, section 6.3): one reading of Content-Length and Transfer-Encoding, or none.

/** How a body ends: there is none, after so many bytes, by its chunks, with the connection. */
export type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly length: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "close" };

export const NO_BODY: Framing = { kind: "none" };
export const CHUNKED: Framing = { kind: "chunked" };
export const UNTIL_CLOSE: Framing = { kind: "close" };

/** Why a message has no certain end. */
export type FramingProblem = "length" | "lengths" | "coding" | "codings" | "both" | "disguised" | "old";

/** What the framing fields of a head say, gathered field by field. */
export class FramingFields {
  #length: number | undefined;
  #isChunked = false;
  #problem: FramingProblem | undefined;

  addLength(value: string): void {
    // Fifteen digits stay below 2^53. A sign, a list (even of equal numbers), a blank inside: refused.
    if (!/^[0-9]{1,15}$/.test(value)) this.#problem ??= "length";
    if (this.#length !== undefined) this.#problem ??= "lengths";
    this.#length = Number(value);
  }

  addCoding(value: string): void {
    if (value.toLowerCase() !== "chunked") this.#problem ??= "coding";
    if (this.#isChunked) this.#problem ??= "codings";
    this.#isChunked = true;
  }

  addDisguised(): void {
    this.#problem ??= "disguised";
  }

  /** The framing that the fields give; undefined: they say nothing. HTTP/1.0 has no transfer codings (section 6.1). */
  result(isHttp10: boolean): Framing | FramingProblem | undefined {
    if (this.#problem !== undefined) return this.#problem;
    if (this.#isChunked) {
      if (this.#length !== undefined) return "both";
      return isHttp10 ? "old" : CHUNKED;
    }
    return this.#length === undefined ? undefined : { kind: "length", length: this.#length };
  }
}
