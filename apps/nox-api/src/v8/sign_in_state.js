import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { HttpError } from '../common/http_error.js';

const LIFETIME_SECONDS = 600;
const COOKIE = 'nox_sign_in';
const RANDOM_BYTES = 32;

const random = () => randomBytes(RANDOM_BYTES).toString('base64url');
const digest = (text, encoding) => createHash('sha256').update(text).digest(encoding);
const sign = (secret, text) => createHmac('sha256', secret).update(text).digest('base64url');
const key = (state) => `sign-in:${digest(state, 'hex')}`;

function same(left, right) {
  const [a, b] = [Buffer.from(left), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function readCookie(exchange) {
  for (const part of String(exchange.request.headers.cookie ?? '').split(';')) {
    const [name, ...rest] = part.trim().split('=');
    if (name === COOKIE) return rest.join('=');
  }
  return '';
}

/**
 * What a sign-in needs between the redirect and the callback.
 *
 * The state is random and signed (CSRF_SECRET); the PKCE verifier stays in Redis and is taken out
 * once. A cookie (SESSION_SECRET) ties the state to the browser that asked for it: the redirect
 * callback demands it, so that nobody can be signed in to somebody else's account by a link.
 */
export class SignInStates {
  /** @param {{cache: object, csrfSecret: string, sessionSecret: string, secure: boolean}} options */
  constructor({ cache, csrfSecret, sessionSecret, secure }) {
    Object.assign(this, { cache, csrfSecret, sessionSecret });
    this.attributes = `Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;
    this.clearCookie = `${COOKIE}=; Max-Age=0; ${this.attributes}`;
  }

  /** Keep the fields of a new sign-in; return its state, its cookie and the PKCE challenge. */
  async begin(fields) {
    const word = random();
    const state = `${word}.${sign(this.csrfSecret, word)}`;
    const verifier = random();
    const record = JSON.stringify({ ...fields, verifier });
    await this.cache.client.set(key(state), record, 'EX', LIFETIME_SECONDS);
    return {
      state,
      challenge: digest(verifier, 'base64url'),
      cookie: `${COOKIE}=${state}~${sign(this.sessionSecret, state)}; Max-Age=${LIFETIME_SECONDS}; ${this.attributes}`,
      expiresIn: LIFETIME_SECONDS,
    };
  }

  /** Return the state that this browser's cookie vouches for, or undefined. */
  ofBrowser(exchange) {
    const [state, signature] = readCookie(exchange).split('~');
    return state && signature && same(signature, sign(this.sessionSecret, state)) ? state : undefined;
  }

  check(state) {
    const [word, signature] = String(state ?? '').split('.');
    if (!word || !signature || !same(signature, sign(this.csrfSecret, word))) {
      throw new HttpError(
        400,
        'invalid_state',
        'The state is missing or was not issued here; start the sign-in again.',
      );
    }
  }

  /** Take the record of a state out of Redis: a state works once. */
  async take(state, provider) {
    this.check(state);
    const [[, text]] = await this.cache.client.multi().get(key(state)).del(key(state)).exec();
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

  /** Look at the record of a state and leave it; undefined when there is none. */
  async peek(state) {
    this.check(state);
    const text = await this.cache.client.get(key(state));
    return text ? JSON.parse(text) : undefined;
  }
}
