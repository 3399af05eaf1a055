// The label of a tunnel's host: a prefix that no other name of ours has, and 26 characters of Crockford's base32 in lower
// case, 130 bits that nobody can guess. One DNS label.

export const TUNNEL_LABEL_PREFIX = "tn-";

const LABEL = /^tn-[0-9a-hjkmnp-tv-z]{26}$/;

/** Whether a text, in lower case, is the label of a tunnel. */
export function isTunnelLabel(text: string): boolean {
  return LABEL.test(text);
}
