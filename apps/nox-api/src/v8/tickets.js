import { randomBytes } from 'node:crypto';
import { json } from '../common/application.js';
import { requireUser } from '../common/authentication.js';
import { HttpError } from '../common/http_error.js';

const LIFETIME_SECONDS = 30;
const TICKET_BYTES = 24;

/** Keep tickets: short-lived words that open one WebSocket, so that no token travels in an address. */
export function createTickets({ cache }) {
  const key = (ticket) => `ticket:${ticket}`;
  return {
    async issue(userId) {
      const ticket = randomBytes(TICKET_BYTES).toString('base64url');
      await cache.client.set(key(ticket), userId, 'EX', LIFETIME_SECONDS);
      return ticket;
    },
    /** Return the user of a ticket and use it up; undefined when it does not hold. */
    async take(ticket) {
      const [[, userId]] = await cache.client.multi().get(key(ticket)).del(key(ticket)).exec();
      return userId ?? undefined;
    },
  };
}

/** Make /api/websocket/connect: a ticket and the address to open with it. */
export function connectRoutes({ tickets, enabled, publicUrl, heartbeatMs }) {
  async function handle(exchange) {
    if (!enabled) throw new HttpError(404, 'feature_disabled', 'WebSockets are switched off.');
    const ticket = await tickets.issue(requireUser(exchange).id);
    const url = new URL('/ws', publicUrl.replace(/^http/, 'ws'));
    url.searchParams.set('ticket', ticket);
    return json({ url: url.href, ticket, expires_in: LIFETIME_SECONDS, heartbeat_interval: heartbeatMs });
  }
  const path = '/api/websocket/connect';
  return [
    { method: 'POST', path, handle },
    { method: 'GET', path, handle },
  ];
}
