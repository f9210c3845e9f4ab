import { randomUUID } from 'node:crypto';
import { clientAddress } from './client_address.js';
import { HttpError } from './http_error.js';
import { createRouter } from './router.js';

const BODY_LIMIT = 64 * 1024;
const REQUEST_ID = /^[\w.:-]{1,128}$/;
const LEVELS = ['debug', 'info', 'warn', 'error'];

async function readJson(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_LIMIT) {
      const headers = { Connection: 'close' };
      throw new HttpError(413, 'body_too_large', `A body may have ${BODY_LIMIT} bytes.`, { headers });
    }
    chunks.push(chunk);
  }
  if (size === 0) return {};
  let body;
  try {
    body = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new HttpError(400, 'invalid_json', 'The body is not JSON.');
  }
  if (body === null || typeof body !== 'object' || Array.isArray(body)) {
    throw new HttpError(400, 'invalid_json', 'The body has to be a JSON object.');
  }
  return body;
}

/** Make an answer with a JSON body. */
export function json(body, status = 200, headers = {}) {
  const own = { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store' };
  return { status, headers: { ...own, ...headers }, body: JSON.stringify(body) };
}

function failure(error, exchange) {
  if (error instanceof HttpError) {
    if (error.status >= 500) exchange.log.error(error.message, { error: error.cause ?? error });
    return json(error.body, error.status, error.headers);
  }
  exchange.log.error('request failed', { error });
  const body = {
    error: 'internal',
    message: 'The request could not be served.',
    request_id: exchange.requestId,
  };
  return json(body, 500);
}

/** One request on its way: who, what, and what its answer will carry. */
function openExchange(request, log) {
  const given = request.headers['x-request-id'];
  const requestId = REQUEST_ID.test(given ?? '') ? given : randomUUID();
  const url = new URL(request.url, 'http://localhost');
  const ownLog = {};
  for (const level of LEVELS) {
    ownLog[level] = (message, details) => log[level](message, { request_id: requestId, ...details });
  }
  return {
    request,
    requestId,
    path: url.pathname,
    query: url.searchParams,
    address: clientAddress(request),
    log: ownLog,
    route: 'unmatched',
    parameters: {},
    headers: {},
    body: () => readJson(request),
  };
}

/** What answers requests: an id for each, the gate, the route, one log line. */
export class Application {
  /**
   * @param {object} options
   * @param {Array<{method: string, path: string, handle: (exchange: object) => Promise<object>}>} options.routes
   * @param {object} options.log
   * @param {(exchange: object) => Promise<object|undefined>} [options.before] runs before routing; what it returns is the answer
   * @param {(exchange: object, status: number, seconds: number) => void} [options.observe]
   * @param {() => boolean} [options.isDraining] when true, connections are told to close
   * @param {string} [options.release] what each answer says of who gave it
   */
  constructor({
    routes,
    log,
    before = async () => undefined,
    observe = () => {},
    isDraining = () => false,
    release = 'development',
  }) {
    this.release = release;
    this.find = createRouter(routes);
    this.log = log;
    this.before = before;
    this.observe = observe;
    this.isDraining = isDraining;
  }

  async answer(exchange) {
    try {
      const early = await this.before(exchange);
      if (early) return early;
      const { route, parameters } = this.find(exchange.request.method, exchange.path);
      Object.assign(exchange, { route: route.path, parameters });
      return await route.handle(exchange);
    } catch (error) {
      return failure(error, exchange);
    }
  }

  /** The listener for an HTTP server. */
  listener = async (request, response) => {
    const started = process.hrtime.bigint();
    let exchange;
    try {
      exchange = openExchange(request, this.log);
    } catch {
      response.writeHead(400, { Connection: 'close' }).end();
      return;
    }
    const { status, headers, body = '' } = await this.answer(exchange);
    const content = Buffer.isBuffer(body) ? body : Buffer.from(body);
    response.writeHead(status, {
      ...exchange.headers,
      ...headers,
      'Content-Length': content.length,
      'X-Request-Id': exchange.requestId,
      'X-Release': this.release,
      ...(this.isDraining() ? { Connection: 'close' } : {}),
    });
    response.end(request.method === 'HEAD' ? undefined : content);
    this.note(exchange, status, Number(process.hrtime.bigint() - started) / 1e9);
  };

  note(exchange, status, seconds) {
    this.observe(exchange, status, seconds);
    // health is asked every second or so by machines
    const level = exchange.path.startsWith('/health') ? 'debug' : 'info';
    // the path only: codes, states and tickets travel in the query
    exchange.log[level]('request', {
      method: exchange.request.method,
      path: exchange.path,
      status,
      duration_ms: Math.round(seconds * 1e5) / 100,
      address: exchange.address,
      user_id: exchange.user?.id,
    });
  }
}
