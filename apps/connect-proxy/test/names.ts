// Names of a platform for tests.

export const PLATFORM_ID = "01jd00000000000000000000aa";
export const DOMAIN = "localhost";

/** "sb-01jd…", the same for the same number. */
export function sandbox(number: number): string {
  return `sb-01jd${String(number).padStart(22, "0")}`;
}
