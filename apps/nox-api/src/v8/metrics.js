import client from 'prom-client';

const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/**
 * Keep the figures that Prometheus asks for, and serve them on a socket of their own.
 *
 * The metrics socket is not behind the public site: what is on it is for the operators.
 *
 * @param {{version: string, colour: string, database: object}} options
 */
export function createMetrics({ version, colour, database }) {
  const registry = new client.Registry();
  registry.setDefaultLabels({ version, colour });
  client.collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const counter = (name, help, labelNames = []) => new client.Counter({ name, help, labelNames, registers });

  const requests = counter('http_requests_total', 'Answered requests.', ['method', 'route', 'status']);
  const duration = new client.Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time to answer a request.',
    labelNames: ['method', 'route'],
    buckets: BUCKETS,
    registers,
  });
  const pool = new client.Gauge({
    name: 'nox_database_connections',
    help: 'Connections of the pool.',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, count] of Object.entries(database.connections())) this.set({ state }, count);
    },
  });

  return {
    authentications: counter('nox_authentications_total', 'Sign-ins, sign-outs and refreshes.', [
      'event',
      'status',
    ]),
    rejected: counter('nox_rate_limited_total', 'Requests over the rate limit.'),
    websockets: new client.Gauge({
      name: 'nox_websocket_connections',
      help: 'Open WebSocket connections.',
      registers,
    }),
    pool,
    observe(exchange, status, seconds) {
      const { method } = exchange.request;
      requests.inc({ method, route: exchange.route, status: String(status) });
      duration.observe({ method, route: exchange.route }, seconds);
    },
    listener: async (request, response) => {
      if (request.url !== '/metrics') {
        response.writeHead(404).end();
        return;
      }
      response.writeHead(200, { 'Content-Type': registry.contentType }).end(await registry.metrics());
    },
  };
}
