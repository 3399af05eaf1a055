// The time as HTTP writes it (RFC 9110, section 5.6.7), made once a second.

let madeForSecond = 0;
let made = "";

/** Of a time in milliseconds since the epoch: now, unless another is given. */
export function httpDate(epochMs: number = Date.now()): string {
  const second = Math.floor(epochMs / 1_000);
  if (second !== madeForSecond) {
    madeForSecond = second;
    made = new Date(second * 1_000).toUTCString();
  }
  return made;
}
