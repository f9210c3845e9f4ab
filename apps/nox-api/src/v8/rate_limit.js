import { HttpError } from '../common/http_error.js';
import { rateIdentity } from './rate_identity.js';

/**
 * Make the check that counts API requests in Redis, in fixed windows.
 *
 * Every answer carries X-RateLimit-Limit, -Remaining and -Reset (seconds since 1970). Without Redis
 * requests pass uncounted: a cache that is away must not take the API with it.
 *
 * @param {{cache: object, windowMs: number, max: number, onReject?: () => void}} options
 */
export function createRateLimit({ cache, windowMs, max, onReject = () => {} }) {
  return async function limit(exchange) {
    if (!exchange.path.startsWith('/api/')) return;
    const identity = rateIdentity(exchange);
    const window = Math.floor(Date.now() / windowMs);
    const key = `rate:${identity}:${window}`;
    let count;
    try {
      const [[, value]] = await cache.client.multi().incr(key).pexpire(key, windowMs).exec();
      count = value;
    } catch (error) {
      exchange.log.warn('rate limit has no redis', { error });
      return;
    }
    const reset = Math.ceil(((window + 1) * windowMs) / 1000);
    Object.assign(exchange.headers, {
      'X-RateLimit-Limit': String(max),
      'X-RateLimit-Remaining': String(Math.max(0, max - count)),
      'X-RateLimit-Reset': String(reset),
    });
    if (count > max) {
      onReject();
      const wait = Math.max(1, reset - Math.floor(Date.now() / 1000));
      throw new HttpError(429, 'rate_limited', `More than ${max} requests in the window.`, {
        headers: { 'Retry-After': String(wait) },
      });
    }
  };
}
