import { isIP } from 'node:net';

/**
 * Tell the address of the client.
 *
 * A unix socket is only reachable by the proxy on this host, so its headers are believed there; over
 * TCP (development) they are not. The proxy appends the peer it saw, so the last entry of
 * X-Forwarded-For is the one that a client cannot choose.
 *
 * @param {import('node:http').IncomingMessage} request
 * @returns {string} an IP address, or `unknown`
 */
export function clientAddress(request) {
  const peer = request.socket.remoteAddress;
  if (peer) return peer.replace(/^::ffff:/, '');
  const forwarded = String(request.headers['x-forwarded-for'] ?? '')
    .split(',')
    .at(-1)
    .trim();
  const candidates = [String(request.headers['x-real-ip'] ?? '').trim(), forwarded];
  return candidates.find((candidate) => isIP(candidate)) ?? 'unknown';
}
