import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { HttpError } from './http_error.js';

const CONNECT_TIMEOUT_MS = 3000;
const IDLE_TIMEOUT_MS = 30_000;
// long enough for a server that restarts or a database that is swapped by rename
const RETRY_DELAYS_MS = [50, 150, 400, 900];
// 57P01-3: the server goes or comes; 55000, 3D000: the database is being swapped; 08xxx: the connection
const GONE = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOENT', 'ETIMEDOUT'],
  ...['57P01', '57P02', '57P03', '55000', '3D000', '08001', '08003', '08006'],
]);
const GONE_MESSAGE = /Connection terminated|timeout exceeded when trying to connect/;

function isConnectionLost(error) {
  return GONE.has(error.code) || GONE_MESSAGE.test(error.message);
}

function translated(error) {
  if (!isConnectionLost(error)) return error;
  const headers = { 'Retry-After': '1' };
  return new HttpError(503, 'database_unavailable', 'The database does not answer.', {
    headers,
    cause: error,
  });
}

/** A small pool of connections that come back by themselves. */
export class Database {
  /** @param {{url: string, poolSize: number, statementTimeoutMs: number, name: string, log: object}} options */
  constructor({ url, poolSize, statementTimeoutMs, name, log }) {
    this.pool = new pg.Pool({
      connectionString: url,
      max: poolSize,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      idleTimeoutMillis: IDLE_TIMEOUT_MS,
      statement_timeout: statementTimeoutMs,
      idle_in_transaction_session_timeout: statementTimeoutMs * 2,
      application_name: name,
      keepAlive: true,
    });
    this.pool.on('error', (error) => log.warn('idle database connection lost', { error }));
  }

  /**
   * Run one statement. `idempotent: true` repeats it when the connection is lost, so it must be
   * safe to run twice (a read, or a write with ON CONFLICT).
   *
   * @throws {HttpError} 503 when the database cannot be reached
   */
  async query(text, values = [], { idempotent = false } = {}) {
    const delays = idempotent ? RETRY_DELAYS_MS : [];
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.pool.query(text, values);
      } catch (error) {
        if (!isConnectionLost(error) || attempt >= delays.length) throw translated(error);
        await sleep(delays[attempt]);
      }
    }
  }

  /** Run `work(query)` in one transaction; it is rolled back when `work` throws. */
  async transaction(work) {
    let client;
    try {
      client = await this.pool.connect();
    } catch (error) {
      throw translated(error);
    }
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
      throw translated(error);
    } finally {
      client.release(broken);
    }
  }

  /** Return how many connections there are, by state. */
  connections() {
    const { totalCount: total, idleCount: idle, waitingCount: waiting } = this.pool;
    return { total, idle, waiting };
  }

  close() {
    return this.pool.end();
  }
}

/** Open the database that the process settings describe. */
export function openDatabase(url, settings, { name, log }) {
  const { DATABASE_POOL_SIZE: poolSize, DATABASE_STATEMENT_TIMEOUT_MS: statementTimeoutMs } = settings;
  return new Database({ url, poolSize, statementTimeoutMs, name, log });
}
