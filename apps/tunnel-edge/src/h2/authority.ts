// Whether a request is for the host that its connection was made to.

/**
 * `serverName`: of the handshake, lower case, without a final dot. `publicPort`: the one that clients reach the edge at; an
 * authority may leave it out.
 */
export function isAuthorityOf(authority: string, serverName: string, publicPort: number): boolean {
  const lower = authority.toLowerCase();
  if (lower === serverName) return true;
  const colon = lower.lastIndexOf(":");
  const host = colon === -1 ? lower : lower.slice(0, colon);
  if (colon !== -1 && lower.slice(colon + 1) !== String(publicPort)) return false;
  return host === serverName || host === `${serverName}.`;
}
