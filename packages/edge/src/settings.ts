// Settings as both edges have them, from text.
import { z } from "zod";
import { trustedPeers } from "./peers.ts";

export const flag: z.ZodType<boolean> = z.enum(["true", "false"]).transform((text) => text === "true");

/** Labels of letters, digits and dashes; with the label of a sandbox or a tunnel before it still a name (RFC 1035). */
export const domainName: z.ZodType<string> = z
  .string()
  .max(200)
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/,
    "must be a lower-case domain name",
  );

export const platformId: z.ZodType<string> = z
  .string()
  .regex(/^[0-7][0-9a-hjkmnp-tv-z]{25}$/, "must be a lower-case ULID");

/** What stands between commas. */
export function listOf(text: string): string[] {
  return text
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
}

/** Addresses and CIDRs, separated by commas: whether an address is one of them. Nobody's is when unset. */
export const peers: z.ZodType<(address: string) => boolean> = z
  .string()
  .prefault("")
  .transform((text, context) => {
    try {
      return trustedPeers(listOf(text));
    } catch (error) {
      context.addIssue(error instanceof Error ? error.message : "must be addresses and CIDRs, separated by commas");
      return z.NEVER;
    }
  });
