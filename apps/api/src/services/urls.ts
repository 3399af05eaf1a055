// URLs of public hosts.

/** "https://<host>", with the port where it is not 443, without a slash at the end. */
export function hostUrl(host: string, port: number): string {
  return `https://${host}${port === 443 ? "" : `:${port}`}`;
}
