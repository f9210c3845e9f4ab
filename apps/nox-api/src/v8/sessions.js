import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { HttpError } from '../common/http_error.js';

const TOKEN_BYTES = 32;
const OPEN = `
  INSERT INTO refresh_token_families (id, user_id, scope, expires_at)
  VALUES ($1, $2, $3, now() + make_interval(secs => $4))`;
const FIND = `
  SELECT f.id, f.user_id, f.scope, f.revoked_at, t.used_at,
         floor(extract(epoch FROM f.expires_at - now()))::int AS remaining,
         f.last_used_at < now() - make_interval(secs => $2) AS idle
  FROM refresh_tokens t JOIN refresh_token_families f ON f.id = t.family_id
  WHERE t.token_hash = $1 FOR UPDATE`;
const REVOKE = `
  UPDATE refresh_token_families SET revoked_at = now(), revoked_reason = $2
  WHERE id = $1 AND revoked_at IS NULL`;

const hash = (token) => createHash('sha256').update(token).digest();

function refused(code, message, userId) {
  const headers = { 'WWW-Authenticate': 'Bearer realm="nox-api", error="invalid_token"' };
  return Object.assign(new HttpError(401, code, message, { headers }), { userId });
}

async function addToken(query, family) {
  const token = randomBytes(TOKEN_BYTES).toString('base64url');
  await query('INSERT INTO refresh_tokens (token_hash, family_id) VALUES ($1, $2)', [hash(token), family]);
  return token;
}

/**
 * Sessions as families of refresh tokens; only hashes are stored.
 *
 * A session lasts `lifetime` seconds from its sign-in, and ends when it was not refreshed for
 * `idle` seconds. With rotation every refresh gives a new token and the old one must not come
 * again: when it does, it was copied, and the whole family is revoked.
 */
export class Sessions {
  /** @param {{database: object, lifetime: number, idle: number, rotation: boolean}} options */
  constructor({ database, lifetime, idle, rotation }) {
    Object.assign(this, { database, lifetime, idle, rotation });
  }

  /** Begin a session. */
  open({ userId, scope }) {
    return this.database.transaction(async (query) => {
      const session = randomUUID();
      await query(OPEN, [session, userId, scope, this.lifetime]);
      const refreshToken = await addToken(query, session);
      return { session, userId, scope, refreshToken, refreshExpiresIn: this.lifetime };
    });
  }

  /**
   * Trade a refresh token for the next one.
   *
   * @throws {HttpError} 401, with `userId` when it is known whose token it was
   */
  async refresh(token) {
    // a reuse has to stay on record, so the refusal is thrown after the commit
    const outcome = await this.database.transaction((query) => this.use(query, token));
    if (outcome.failure) throw outcome.failure;
    return outcome;
  }

  async use(query, token) {
    const { rows } = await query(FIND, [hash(token), this.idle]);
    const [found] = rows;
    if (!found) return { failure: refused('invalid_refresh_token', 'The refresh token is not known.') };
    if (found.used_at && !found.revoked_at) {
      await query(REVOKE, [found.id, 'reuse']);
      const message = 'The refresh token was used before; its session is over.';
      return { failure: refused('refresh_token_reused', message, found.user_id) };
    }
    if (found.revoked_at || found.remaining <= 0 || found.idle) {
      return { failure: refused('session_ended', 'The session is over; sign in again.', found.user_id) };
    }
    await query('UPDATE refresh_token_families SET last_used_at = now() WHERE id = $1', [found.id]);
    const refreshToken = this.rotation ? await this.rotate(query, token, found.id) : token;
    const { id: session, user_id: userId, scope, remaining: refreshExpiresIn } = found;
    return { session, userId, scope, refreshToken, refreshExpiresIn };
  }

  async rotate(query, token, family) {
    await query('UPDATE refresh_tokens SET used_at = now() WHERE token_hash = $1', [hash(token)]);
    return addToken(query, family);
  }

  /** End one session; an unknown one is no error. */
  async end(session) {
    await this.database.query(REVOKE, [session, 'logout'], { idempotent: true });
  }
}
