const STALE_BEATS = 3;

/** Keep the rows of `websocket_sessions`. A row that cannot be written never costs a connection. */
export function createSessionRows({ database, log, heartbeatMs }) {
  const attempt = async (what, text, values) => {
    try {
      await database.query(text, values, { idempotent: true });
    } catch (error) {
      log.warn('websocket session not stored', { what, error });
    }
  };
  return {
    opened: (id, userId) =>
      attempt(
        'opened',
        'INSERT INTO websocket_sessions (connection_id, user_id) VALUES ($1, $2) ON CONFLICT (connection_id) DO NOTHING',
        [id, userId ?? null],
      ),
    beat: (ids) =>
      attempt('beat', 'UPDATE websocket_sessions SET last_heartbeat = now() WHERE connection_id = ANY($1)', [
        ids,
      ]),
    closed: (ids) =>
      attempt(
        'closed',
        "UPDATE websocket_sessions SET status = 'closed', closed_at = now() WHERE connection_id = ANY($1)",
        [ids],
      ),
    /** Mark what a process that died left behind. */
    sweep: () =>
      attempt(
        'sweep',
        `UPDATE websocket_sessions SET status = 'lost', closed_at = now()
       WHERE status = 'connected' AND last_heartbeat < now() - make_interval(secs => $1)`,
        [(heartbeatMs * STALE_BEATS) / 1000 + 1],
      ),
  };
}
