import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { HttpError } from '../common/http_error.js';

const LIFETIME_SECONDS = 600;
const COOKIE = 'nox_sign_in';
const RANDOM_BYTES = 32;

const base64url = (bytes) => Buffer.from(bytes).toString('base64url');
const sign = (secret, text) => base64url(createHmac('sha256', secret).update(text).digest());

function same(left, right) {
  const [a, b] = [Buffer.from(left), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function readCookie(exchange) {
  for (const part of String(exchange.request.headers.cookie ?? '').split(';')) {
    const [name, ...rest] = part.trim().split('=');
    if (name === COOKIE) return rest.join('=');
  }
  return undefined;
}

/**
 * Keep what a sign-in needs between the redirect and the callback.
 *
 * The state is random and signed (CSRF_SECRET); the PKCE verifier stays in Redis and is taken out
 * once. A cookie (SESSION_SECRET) ties the state to the browser that asked for it: the redirect
 * callback demands it, so that nobody can be signed in to somebody else's account by a link.
 *
 * @param {{cache: object, csrfSecret: string, sessionSecret: string, secure: boolean}} options
 */
export function createSignInStates({ cache, csrfSecret, sessionSecret, secure }) {
  const key = (state) => `sign-in:${createHash('sha256').update(state).digest('hex')}`;
  const attributes = `Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;

  async function begin(fields) {
    const random = base64url(randomBytes(RANDOM_BYTES));
    const state = `${random}.${sign(csrfSecret, random)}`;
    const verifier = base64url(randomBytes(RANDOM_BYTES));
    await cache.client.set(key(state), JSON.stringify({ ...fields, verifier }), 'EX', LIFETIME_SECONDS);
    const cookie = `${COOKIE}=${state}~${sign(sessionSecret, state)}; Max-Age=${LIFETIME_SECONDS}; ${attributes}`;
    return {
      state,
      cookie,
      challenge: base64url(createHash('sha256').update(verifier).digest()),
      expiresIn: LIFETIME_SECONDS,
    };
  }

  /** Return the state that this browser's cookie vouches for, or undefined. */
  function ofBrowser(exchange) {
    const [state, signature] = String(readCookie(exchange) ?? '').split('~');
    return state && signature && same(signature, sign(sessionSecret, state)) ? state : undefined;
  }

  function check(state) {
    const [random, signature] = String(state ?? '').split('.');
    if (!random || !signature || !same(signature, sign(csrfSecret, random))) {
      throw new HttpError(
        400,
        'invalid_state',
        'The state is missing or was not issued here; start the sign-in again.',
      );
    }
  }

  /** Take the record of a state out of Redis: a state works once. */
  async function take(state, provider) {
    check(state);
    const [[, text]] = await cache.client.multi().get(key(state)).del(key(state)).exec();
    const record = text && JSON.parse(text);
    if (!record || record.provider !== provider) {
      throw new HttpError(
        400,
        'invalid_state',
        'The sign-in is too old, was used before, or belongs to another provider.',
      );
    }
    return record;
  }

  /** Look at the record of a state and leave it. */
  async function peek(state) {
    check(state);
    const text = await cache.client.get(key(state));
    return text ? JSON.parse(text) : undefined;
  }

  return { begin, ofBrowser, take, peek, clearCookie: `${COOKIE}=; Max-Age=0; ${attributes}` };
}
