// What names look like: of apps, workspaces, sandboxes, images, tags, environment variables.

const LABEL = /^[a-z0-9-]{1,63}$/;
const IMAGE = /^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}$/;
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const TAG_KEY = /^[A-Za-z0-9._/-]{1,63}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** Whether an app, a workspace or a sandbox may be called so. */
export function isLabel(text: string): boolean {
  return LABEL.test(text);
}

/** Whether a text may name an image. */
export function isImageName(text: string): boolean {
  return IMAGE.test(text);
}

/** Whether an environment variable may be called so. */
export function isEnvName(text: string): boolean {
  return ENV_NAME.test(text);
}

/** Whether a tag may be called so. */
export function isTagKey(text: string): boolean {
  return TAG_KEY.test(text);
}

/** Whether a text is "sha256:" and 64 hexadecimal digits. */
export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

/** Whether a text holds C0 or C1 control characters, NUL among them. */
export function hasControlCharacters(text: string): boolean {
  return /[\p{Cc}]/u.test(text);
}

/** A caller's name for use within a field path of an error: printable ASCII, cut to 64 characters. */
export function quotedName(text: string): string {
  const cut = text.length > 64 ? `${text.slice(0, 64)}...` : text;
  return cut.replace(/[^\x21-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** How many characters a text has, a pair of surrogates being one. */
export function characterCount(text: string): number {
  return Array.from(text).length;
}
