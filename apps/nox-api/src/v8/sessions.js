import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { HttpError } from '../common/http_error.js';

const TOKEN_BYTES = 32;

const hash = (token) => createHash('sha256').update(token).digest();
const newToken = () => randomBytes(TOKEN_BYTES).toString('base64url');

function refused(code, message, userId) {
  const error = new HttpError(401, code, message, {
    headers: { 'WWW-Authenticate': `Bearer realm="nox-api", error="invalid_token"` },
  });
  error.userId = userId;
  return error;
}

/**
 * Keep sessions as families of refresh tokens; only hashes are stored.
 *
 * A session lasts `lifetime` seconds from its sign-in, and ends when it was not refreshed for
 * `idle` seconds. With rotation every refresh gives a new token and the old one must not come
 * again: when it does, it was copied, and the whole family is revoked.
 *
 * @param {{database: object, lifetime: number, idle: number, rotation: boolean}} options
 */
export function createSessions({ database, lifetime, idle, rotation }) {
  const addToken = async (query, family) => {
    const token = newToken();
    await query('INSERT INTO refresh_tokens (token_hash, family_id) VALUES ($1, $2)', [hash(token), family]);
    return token;
  };

  const revoke = (query, family, reason) =>
    query(
      'UPDATE refresh_token_families SET revoked_at = now(), revoked_reason = $2 WHERE id = $1 AND revoked_at IS NULL',
      [family, reason],
    );

  function open({ userId, scope }) {
    return database.transaction(async (query) => {
      const id = randomUUID();
      await query(
        'INSERT INTO refresh_token_families (id, user_id, scope, expires_at) VALUES ($1, $2, $3, now() + make_interval(secs => $4))',
        [id, userId, scope, lifetime],
      );
      return {
        session: id,
        userId,
        scope,
        refreshToken: await addToken(query, id),
        refreshExpiresIn: lifetime,
      };
    });
  }

  async function find(query, token) {
    const { rows } = await query(
      `SELECT f.id, f.user_id, f.scope, f.revoked_at, t.used_at,
              floor(extract(epoch FROM f.expires_at - now()))::int AS remaining,
              f.last_used_at < now() - make_interval(secs => $2) AS idle
       FROM refresh_tokens t JOIN refresh_token_families f ON f.id = t.family_id
       WHERE t.token_hash = $1 FOR UPDATE`,
      [hash(token), idle],
    );
    return rows[0];
  }

  async function use(query, token) {
    const found = await find(query, token);
    if (!found) return { failure: refused('invalid_refresh_token', 'The refresh token is not known.') };
    if (found.used_at && !found.revoked_at) {
      await revoke(query, found.id, 'reuse');
      return {
        failure: refused(
          'refresh_token_reused',
          'The refresh token was used before; its session is over.',
          found.user_id,
        ),
      };
    }
    if (found.revoked_at || found.remaining <= 0 || found.idle) {
      return { failure: refused('session_ended', 'The session is over; sign in again.', found.user_id) };
    }
    await query('UPDATE refresh_token_families SET last_used_at = now() WHERE id = $1', [found.id]);
    let refreshToken = token;
    if (rotation) {
      await query('UPDATE refresh_tokens SET used_at = now() WHERE token_hash = $1', [hash(token)]);
      refreshToken = await addToken(query, found.id);
    }
    return {
      session: found.id,
      userId: found.user_id,
      scope: found.scope,
      refreshToken,
      refreshExpiresIn: found.remaining,
    };
  }

  /** Trade a refresh token for the next one. @throws {HttpError} 401, with `userId` when it is known */
  async function refresh(token) {
    // a reuse has to stay on record, so the refusal is thrown after the commit
    const outcome = await database.transaction((query) => use(query, token));
    if (outcome.failure) throw outcome.failure;
    return outcome;
  }

  /** End one session; an unknown one is no error. */
  async function end(session) {
    await revoke((text, values) => database.query(text, values, { idempotent: true }), session, 'logout');
  }

  return { open, refresh, end };
}
