/**
 * Make the function that writes rows of `authentication_logs`.
 *
 * A request id that comes again for the same event and user is the client's retry of one act and
 * adds no second row, which also makes the write safe to repeat after a lost connection.
 *
 * @param {{database: object, observe?: (event: string, status: string) => void}} options
 * @returns {(exchange: object, record: {event: 'login'|'logout'|'refresh', status: 'success'|'failure', userId?: string, provider?: string, reason?: string}) => Promise<void>}
 */
export function createAuthenticationLog({ database, observe = () => {} }) {
  return async function record(exchange, { event, status, userId, provider, reason }) {
    const userAgent = String(exchange.request.headers['user-agent'] ?? '').slice(0, 255);
    await database.query(
      `INSERT INTO authentication_logs (user_id, event, status, provider, reason, request_id, ip_address, user_agent)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
       ON CONFLICT (request_id, event, user_id) DO NOTHING`,
      [
        userId ?? null,
        event,
        status,
        provider ?? null,
        reason ?? null,
        exchange.requestId,
        exchange.address,
        userAgent,
      ],
      { idempotent: true },
    );
    observe(event, status);
  };
}
