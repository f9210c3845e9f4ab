/**
 * Name whose requests are counted together: the user when the token holds, else the client's address.
 *
 * @param {object} exchange
 * @returns {string} part of a Redis key
 */
export function rateIdentity(exchange) {
  return exchange.user ? `user:${exchange.user.id}` : `address:${exchange.address}`;
}
