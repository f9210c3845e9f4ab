import { HttpError } from '../common/http_error.js';

const METHODS = 'GET, POST, OPTIONS';
const REQUEST_HEADERS = 'Authorization, Content-Type, X-Request-Id';
const EXPOSED_HEADERS =
  'X-Request-Id, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Retry-After';
const PREFLIGHT_SECONDS = '600';
const MIGRATION_RETRY_SECONDS = '30';

// what the proxy does not already send on every answer
const PROTECTION = {
  'Content-Security-Policy':
    "default-src 'self'; connect-src 'self' wss:; img-src 'self' https: data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-site',
};

/** Make the part of the gate that answers browsers of other origins. */
function createCrossOrigin(origins) {
  return (exchange) => {
    const { origin } = exchange.request.headers;
    if (!origin) return undefined;
    exchange.headers.Vary = 'Origin';
    if (!origins.has(origin)) return undefined;
    Object.assign(exchange.headers, {
      'Access-Control-Allow-Origin': origin,
      'Access-Control-Allow-Credentials': 'true',
      'Access-Control-Expose-Headers': EXPOSED_HEADERS,
    });
    const preflight =
      exchange.request.method === 'OPTIONS' && exchange.request.headers['access-control-request-method'];
    if (!preflight) return undefined;
    return {
      status: 204,
      headers: {
        'Access-Control-Allow-Methods': METHODS,
        'Access-Control-Allow-Headers': REQUEST_HEADERS,
        'Access-Control-Max-Age': PREFLIGHT_SECONDS,
      },
    };
  };
}

function refuseWrites(exchange) {
  if (exchange.request.method === 'GET' || exchange.request.method === 'HEAD') return;
  if (!exchange.path.startsWith('/api/')) return;
  throw new HttpError(503, 'migration_mode', 'The API is read-only while data is being moved.', {
    headers: { 'Retry-After': MIGRATION_RETRY_SECONDS },
  });
}

/**
 * Make what every request of version 8 passes before its route.
 *
 * Order: protective headers, cross-origin rules, who it is, how often, read-only mode.
 */
export function createGate({ settings, authenticate, limit }) {
  const origins = new Set(
    (settings.CORS_ORIGIN ?? settings.PUBLIC_URL).split(',').map((origin) => origin.trim()),
  );
  const crossOrigin = createCrossOrigin(origins);
  async function pass(exchange) {
    if (settings.HELMET_ENABLED) Object.assign(exchange.headers, PROTECTION);
    const preflight = crossOrigin(exchange);
    if (preflight) return preflight;
    await authenticate(exchange);
    await limit(exchange);
    if (settings.MIGRATION_MODE) refuseWrites(exchange);
    return undefined;
  }
  return { pass, origins };
}
