// The time as HTTP writes it (RFC 9110, section 5.6.7), made once a second.

let madeForSecond = 0;
let made = "";

export function httpDate(): string {
  const second = Math.floor(Date.now() / 1_000);
  if (second !== madeForSecond) {
    madeForSecond = second;
    made = new Date(second * 1_000).toUTCString();
  }
  return made;
}
