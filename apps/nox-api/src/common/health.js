import { json } from './application.js';
import { HttpError } from './http_error.js';

const PROBE_TIMEOUT_MS = 2000;

function within(milliseconds, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${milliseconds} ms`)), milliseconds);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

async function probe(part, work) {
  try {
    await within(PROBE_TIMEOUT_MS, work());
    return json({ status: 'ok' });
  } catch (error) {
    throw new HttpError(503, `${part}_unavailable`, `The ${part} does not answer.`, {
      details: { status: 'error' },
      cause: error,
    });
  }
}

/** Make the routes that tell whether the process, its database and its cache answer. */
export function healthRoutes({ version, database, cache, parts = ['db', 'redis'] }) {
  const routes = [{ method: 'GET', path: '/health', handle: async () => json({ status: 'ok', version }) }];
  if (parts.includes('db')) {
    routes.push({
      method: 'GET',
      path: '/health/db',
      handle: () => probe('database', () => database.query('SELECT 1')),
    });
  }
  if (parts.includes('redis')) {
    routes.push({ method: 'GET', path: '/health/redis', handle: () => probe('redis', () => cache.ping()) });
  }
  return routes;
}
