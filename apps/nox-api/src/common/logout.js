import { json } from './application.js';
import { requireUser } from './authentication.js';

const FOREIGN_KEY_VIOLATION = '23503';

/**
 * Make POST /api/auth/logout, the same in versions 7 and 8.
 *
 * The row in `authentication_logs` is committed before the answer. The access token itself is not
 * revoked and ends at its expiry; `endSession` may end what else belongs to the session.
 *
 * @param {{record: Function, endSession?: (user: object) => Promise<void>}} options
 */
export function logoutRoute({ record, endSession = async () => {} }) {
  async function handle(exchange) {
    const user = requireUser(exchange);
    await endSession(user);
    try {
      await record(exchange, { event: 'logout', status: 'success', userId: user.id });
    } catch (error) {
      if (error.code !== FOREIGN_KEY_VIOLATION) throw error;
      exchange.user = undefined;
      requireUser(exchange);
    }
    return json({ status: 'ok', request_id: exchange.requestId });
  }
  return { method: 'POST', path: '/api/auth/logout', handle };
}
