import { json } from '../common/application.js';
import { requireUser } from '../common/authentication.js';

const QUERY = `
  SELECT id, email, name, COALESCE(provider, 'legacy') AS provider, avatar_url, biometric_enabled,
         security_risk_score::float8 AS security_risk_score, last_login, created_at,
         COALESCE(updated_at, created_at) AS updated_at
  FROM users WHERE id = $1`;

/** Make GET /api/user/profile. */
export function profileRoute({ database }) {
  async function handle(exchange) {
    const { id } = requireUser(exchange);
    const { rows } = await database.query(QUERY, [id], { idempotent: true });
    if (rows.length === 0) {
      exchange.user = undefined;
      requireUser(exchange);
    }
    return json(rows[0]);
  }
  return { method: 'GET', path: '/api/user/profile', handle };
}

/** Make the function that notes a sign-in in the account. */
export function createSignInRecorder({ database }) {
  return async (userId) => {
    await database.query('UPDATE users SET last_login = now(), updated_at = now() WHERE id = $1', [userId], {
      idempotent: true,
    });
  };
}
