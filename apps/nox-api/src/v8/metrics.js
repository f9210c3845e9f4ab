import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/**
 * The figures that Prometheus asks for.
 *
 * They are served on a socket of their own, which the public site does not reach: what is on it is
 * for the operators.
 */
export class Metrics {
  /** @param {{version: string, colour: string, database: object}} options */
  constructor({ version, colour, database }) {
    this.registry = new Registry();
    this.registry.setDefaultLabels({ version, colour });
    collectDefaultMetrics({ register: this.registry });
    const registers = [this.registry];
    const counter = (name, help, labelNames = []) => new Counter({ name, help, labelNames, registers });
    const gauge = (name, help, more = {}) => new Gauge({ name, help, registers, ...more });
    this.requests = counter('http_requests_total', 'Answered requests.', ['method', 'route', 'status']);
    this.duration = new Histogram({
      name: 'http_request_duration_seconds',
      help: 'Time to answer a request.',
      labelNames: ['method', 'route'],
      buckets: BUCKETS,
      registers,
    });
    this.authentications = counter('nox_authentications_total', 'Sign-ins, sign-outs and refreshes.', [
      'event',
      'status',
    ]);
    this.rejected = counter('nox_rate_limited_total', 'Requests over the rate limit.');
    this.websockets = gauge('nox_websocket_connections', 'Open WebSocket connections.');
    gauge('nox_database_connections', 'Connections of the pool.', {
      labelNames: ['state'],
      collect() {
        for (const [state, count] of Object.entries(database.connections())) this.set({ state }, count);
      },
    });
  }

  /** Count one answered request. */
  observe = (exchange, status, seconds) => {
    const { method } = exchange.request;
    this.requests.inc({ method, route: exchange.route, status: String(status) });
    this.duration.observe({ method, route: exchange.route }, seconds);
  };

  /** The listener of the metrics socket. */
  listener = async (request, response) => {
    if (request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'Content-Type': this.registry.contentType }).end(await this.registry.metrics());
  };
}
