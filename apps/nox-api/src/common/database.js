import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { HttpError } from './http_error.js';

const CONNECT_TIMEOUT_MS = 3000;
const IDLE_TIMEOUT_MS = 30_000;
// long enough for a server that restarts or a database that is swapped by rename
const RETRY_DELAYS_MS = [50, 150, 400, 900];
const GONE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ETIMEDOUT',
  '57P01',
  '57P02',
  '57P03',
  '55000',
  '3D000',
  '08006',
  '08003',
  '08001',
]);

/** Tell whether an error means that the server could not be reached or ended the connection. */
export function isConnectionLost(error) {
  return (
    GONE.has(error.code) ||
    /Connection terminated|timeout exceeded when trying to connect/.test(error.message)
  );
}

function unavailable(error) {
  return new HttpError(503, 'database_unavailable', 'The database does not answer.', {
    headers: { 'Retry-After': '1' },
    cause: error,
  });
}

/**
 * Open a small pool that reconnects by itself.
 *
 * @param {{url: string, poolSize: number, statementTimeoutMs: number, name: string, log: object}} options
 */
export function openDatabase({ url, poolSize, statementTimeoutMs, name, log }) {
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    statement_timeout: statementTimeoutMs,
    idle_in_transaction_session_timeout: statementTimeoutMs * 2,
    application_name: name,
    keepAlive: true,
  });
  pool.on('error', (error) => log.warn('idle database connection lost', { error }));

  /**
   * Run one statement. `idempotent: true` repeats it when the connection is lost, so it must be
   * safe to run twice (a read, or a write with ON CONFLICT).
   */
  async function query(text, values = [], { idempotent = false } = {}) {
    const delays = idempotent ? RETRY_DELAYS_MS : [];
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await pool.query(text, values);
      } catch (error) {
        if (!isConnectionLost(error)) throw error;
        if (attempt >= delays.length) throw unavailable(error);
        await sleep(delays[attempt]);
      }
    }
  }

  /** Run `work(query)` in one transaction; it is rolled back when `work` throws. */
  async function transaction(work) {
    const client = await pool.connect().catch((error) => {
      throw isConnectionLost(error) ? unavailable(error) : error;
    });
    let broken;
    try {
      await client.query('BEGIN');
      const result = await work((text, values) => client.query(text, values));
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch((failure) => {
        broken = failure;
      });
      throw isConnectionLost(error) ? unavailable(error) : error;
    } finally {
      client.release(broken);
    }
  }

  return {
    query,
    transaction,
    connections: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }),
    close: () => pool.end(),
  };
}
