import { randomUUID } from 'node:crypto';
import { HttpError } from './http_error.js';

const COLUMNS = 'id, email, name, provider, provider_user_id, avatar_url, created_at';
const UNDEFINED_COLUMN = '42703';
const UNIQUE_VIOLATION = '23505';

async function byIdentity(query, { provider, providerUserId }) {
  const { rows } = await query(
    `SELECT ${COLUMNS} FROM users WHERE provider = $1 AND provider_user_id = $2 FOR UPDATE`,
    [provider, providerUserId],
  );
  return rows[0];
}

async function byEmail(query, email) {
  const { rows } = await query(`SELECT ${COLUMNS} FROM users WHERE email = $1 FOR UPDATE`, [email]);
  return rows[0];
}

async function update(query, id, identity) {
  const { rows } = await query(
    `UPDATE users SET provider = $2, provider_user_id = $3, name = COALESCE($4, name), avatar_url = COALESCE($5, avatar_url)
     WHERE id = $1 RETURNING ${COLUMNS}`,
    [id, identity.provider, identity.providerUserId, identity.name, identity.avatarUrl],
  );
  return rows[0];
}

async function insert(query, identity) {
  const { rows } = await query(
    `INSERT INTO users (id, email, name, provider, provider_user_id, avatar_url) VALUES ($1, $2, $3, $4, $5, $6)
     RETURNING ${COLUMNS}`,
    [
      randomUUID(),
      identity.email,
      identity.name,
      identity.provider,
      identity.providerUserId,
      identity.avatarUrl,
    ],
  );
  return rows[0];
}

/**
 * Find the account of a provider's identity, or make it.
 *
 * An account with the same address is taken over only when the provider vouches for the address;
 * otherwise somebody could enter another person's account by naming its address at a provider that
 * does not check. The account then belongs to the provider that was used last.
 *
 * @param {object} database
 * @param {{provider: string, providerUserId: string, email: string, emailVerified: boolean, name: ?string, avatarUrl: ?string}} identity
 * @throws {HttpError} 409 when the address belongs to another account and is not vouched for
 */
export async function signInIdentity(database, identity) {
  const attempt = () =>
    database.transaction(async (query) => {
      const known = await byIdentity(query, identity);
      if (known) return update(query, known.id, identity);
      const namesake = await byEmail(query, identity.email);
      if (!namesake) return insert(query, identity);
      if (!identity.emailVerified) {
        throw new HttpError(
          409,
          'email_in_use',
          'An account with this address exists and the provider does not vouch for the address.',
        );
      }
      return update(query, namesake.id, identity);
    });
  try {
    return await attempt();
  } catch (error) {
    // two first sign-ins of one person at the same time: the second finds what the first made
    if (error.code === UNIQUE_VIOLATION) return attempt();
    throw error;
  }
}

/** Find an account by the opaque token of version 6; undefined also once that column is gone. */
export async function userByLegacyToken(database, token) {
  try {
    const { rows } = await database.query('SELECT id FROM users WHERE old_token_field = $1', [token], {
      idempotent: true,
    });
    return rows[0];
  } catch (error) {
    if (error.code === UNDEFINED_COLUMN) return undefined;
    throw error;
  }
}
