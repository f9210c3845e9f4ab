import { HttpError } from '../common/http_error.js';

const WINDOW_SECONDS = 60;
const MAX_SIGN_INS = 300;

/** Make the check that slows down sign-ins from one address; without Redis it lets everything pass. */
export function createLoginThrottle({ cache }) {
  return async function throttle(exchange) {
    if (exchange.path !== '/api/auth/login') return;
    const key = `login:${exchange.address}:${Math.floor(Date.now() / 1000 / WINDOW_SECONDS)}`;
    let count;
    try {
      const [[, value]] = await cache.client
        .multi()
        .incr(key)
        .expire(key, WINDOW_SECONDS * 2)
        .exec();
      count = value;
    } catch (error) {
      exchange.log.warn('login throttle has no redis', { error });
      return;
    }
    if (count > MAX_SIGN_INS) {
      throw new HttpError(429, 'too_many_sign_ins', 'Too many sign-ins from this address.', {
        headers: { 'Retry-After': String(WINDOW_SECONDS) },
      });
    }
  };
}
