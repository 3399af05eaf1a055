// Tells what set-up does, on stderr: one line per step, a heartbeat with the elapsed seconds, a spinner on a terminal only.

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME_MS = 100;
const HEARTBEAT_MS = 4_000;
const KEPT_LINES = 20;

/** One step that is at work. */
export class Step {
  /** @type {string} */ #what;
  #startedAt = Date.now();
  /** @type {string[]} */ #lines = [];
  #frame = 0;
  /** @type {NodeJS.Timeout} */ #timer;
  #isTerminal = process.stderr.isTTY === true;

  /**
   * @param {string} what In words: "install conmon with apt".
   * @param {string} why Why Sallyport needs it.
   */
  constructor(what, why) {
    this.#what = what;
    console.error(`• ${what}: ${why}`);
    this.#timer = this.#isTerminal
      ? setInterval(() => this.#draw(), FRAME_MS)
      : setInterval(() => console.error(`  … ${this.#seconds()} s ${this.#lastLine()}`.trimEnd()), HEARTBEAT_MS);
    this.#timer.unref();
  }

  /** @param {string} line What the program at work says; the last one is shown. */
  note(line) {
    this.#lines.push(line);
    if (this.#lines.length > KEPT_LINES) this.#lines.shift();
  }

  /** Ends the step well. */
  done() {
    this.#finish();
    console.error(`  done in ${this.#seconds()} s`);
  }

  /**
   * Ends the step badly: with the problem, or with what the program said last.
   * @param {string} [problem]
   */
  failed(problem) {
    this.#finish();
    console.error(`  failed after ${this.#seconds()} s: ${this.#what}`);
    for (const line of problem === undefined ? this.#lines : problem.split("\n")) console.error(`    ${line}`);
  }

  #finish() {
    clearInterval(this.#timer);
    if (this.#isTerminal) process.stderr.write("\r\x1b[K");
  }

  #draw() {
    this.#frame = (this.#frame + 1) % FRAMES.length;
    const text = `  ${FRAMES[this.#frame]} ${this.#seconds()} s ${this.#lastLine()}`;
    process.stderr.write(`\r\x1b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`);
  }

  #seconds() {
    return ((Date.now() - this.#startedAt) / 1000).toFixed(1);
  }

  #lastLine() {
    return (this.#lines.at(-1) ?? "").slice(0, 100);
  }
}
