import { json } from './application.js';
import { requireUser } from './authentication.js';

/** Make GET /api/user of versions 6 and 7: id, email, name, created_at. */
export function accountRoute({ database }) {
  async function handle(exchange) {
    const { id } = requireUser(exchange);
    const { rows } = await database.query(
      'SELECT id, email, name, created_at FROM users WHERE id = $1',
      [id],
      { idempotent: true },
    );
    if (rows.length === 0) {
      exchange.user = undefined;
      requireUser(exchange);
    }
    return json(rows[0]);
  }
  return { method: 'GET', path: '/api/user', handle };
}
