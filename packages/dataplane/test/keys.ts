// Key sets and ids for tests.
import { generateSigningKey, SigningKey } from "@sallyport/connect-token/assertion";

/** A published set of so many keys for connect tokens, and their ids. */
export async function keySetOf(count: number): Promise<{ text: string; kids: string[] }> {
  const made = Array.from({ length: count }, async () => SigningKey.import(await generateSigningKey("connect-token")));
  const keys = (await Promise.all(made)).map((key) => key.publicJwk);
  return { text: JSON.stringify({ keys }), kids: keys.map(({ kid }) => kid) };
}

/** "sb-01jd…", the same for the same number. */
export function id(prefix: "sb" | "ws" | "in" | "ct", number: number): string {
  return `${prefix}-01jd${String(number).padStart(22, "0")}`;
}
