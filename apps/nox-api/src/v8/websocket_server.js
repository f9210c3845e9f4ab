import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocketServer } from 'ws';

const MAX_MESSAGE = 16 * 1024;
const GOING_AWAY = 1001;
const INVALID_DATA = 1007;
const JITTER_SHARE = 0.3;
const MAX_JITTER_MS = 5000;
const CLOSE_WAIT_MS = 2000;

function refuse(socket, status, reason) {
  socket.end(`HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function say(connection, message) {
  connection.socket.send(JSON.stringify(message));
}

function receive(connection, data) {
  let message;
  try {
    message = JSON.parse(data);
  } catch {
    connection.socket.close(INVALID_DATA, 'JSON is expected');
    return;
  }
  if (message?.type === 'ping') say(connection, { type: 'pong', at: new Date().toISOString() });
  else say(connection, { type: 'error', error: 'unknown_type' });
}

/**
 * What serves /ws: welcome, heartbeat, events, and a goodbye with 1001 when the process ends.
 *
 * Anybody may connect and sees the beat; with a ticket the connection belongs to a user and gets
 * that user's events. A client may send `{"type": "ping"}` and gets `{"type": "pong"}`.
 */
export class WebSockets {
  /**
   * @param {{log: object, release: string, rows: object, tickets: object, heartbeatMs: number, maxConnections: number,
   *          gauge: object, origins: Set<string>}} options
   */
  constructor({ log, release, rows, tickets, heartbeatMs, maxConnections, gauge, origins }) {
    Object.assign(this, { log, rows, tickets, heartbeatMs, maxConnections, gauge, origins });
    this.server = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE, clientTracking: false });
    this.server.on('headers', (headers) => headers.push(`X-Release: ${release}`));
    this.connections = new Map();
    this.farewells = new Set();
    this.leaving = false;
    this.ends = {};
    this.timer = setInterval(() => this.beat(), heartbeatMs);
    this.timer.unref();
  }

  /** The listener for a server's `upgrade` event. */
  upgrade = (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    this.admit(request, socket, head).catch((error) => {
      this.log.error('websocket upgrade failed', { error });
      refuse(socket, 503, 'Service Unavailable');
    });
  };

  async admit(request, socket, head) {
    const url = new URL(request.url, 'http://localhost');
    if (url.pathname !== '/ws') return refuse(socket, 404, 'Not Found');
    const { origin } = request.headers;
    if (origin && !this.origins.has(origin)) return refuse(socket, 403, 'Forbidden');
    const ticket = url.searchParams.get('ticket');
    const userId = ticket === null ? undefined : await this.tickets.take(ticket);
    if (ticket !== null && !userId) return refuse(socket, 401, 'Unauthorized');
    const full = this.connections.size >= this.maxConnections;
    if (this.leaving || full) return refuse(socket, 503, 'Service Unavailable');
    return this.server.handleUpgrade(request, socket, head, (accepted) => this.opened(accepted, userId));
  }

  opened(socket, userId) {
    const connection = { id: randomUUID(), userId, socket, alive: true };
    this.connections.set(connection.id, connection);
    this.gauge.set(this.connections.size);
    connection.stored = this.rows.opened(connection.id, userId);
    socket.on('pong', () => {
      connection.alive = true;
    });
    socket.on('message', (data) => receive(connection, data));
    socket.on('error', (error) => this.log.debug('websocket error', { connection_id: connection.id, error }));
    socket.on('close', (code) => this.closed(connection, code));
    const welcome = { type: 'welcome', connection_id: connection.id, user_id: userId ?? null };
    say(connection, { ...welcome, heartbeat_interval: this.heartbeatMs });
    socket.ping();
    this.log.info('websocket opened', { connection_id: connection.id, user_id: userId });
  }

  closed(connection, code) {
    this.connections.delete(connection.id);
    if (this.leaving) this.ends[code] = (this.ends[code] ?? 0) + 1;
    this.gauge.set(this.connections.size);
    this.log.info('websocket closed', { connection_id: connection.id, code });
    const farewell = connection.stored.then(() => this.rows.closed([connection.id]));
    this.farewells.add(farewell);
    farewell.finally(() => this.farewells.delete(farewell));
  }

  beat() {
    const alive = [];
    for (const connection of this.connections.values()) {
      if (connection.alive) {
        connection.alive = false;
        connection.socket.ping();
        alive.push(connection.id);
      } else {
        connection.socket.terminate();
      }
    }
    if (alive.length > 0) this.rows.beat(alive);
    this.rows.sweep();
  }

  /** Send an event to every connection of a user on this process. */
  notify = (userId, message) => {
    for (const connection of this.connections.values()) {
      if (connection.userId === userId) say(connection, message);
    }
  };

  async dismiss(connection, jitterMs) {
    await sleep(Math.random() * jitterMs);
    if (!this.connections.has(connection.id)) return;
    const closed = new Promise((resolve) => {
      connection.socket.once('close', resolve);
    });
    connection.socket.close(GOING_AWAY, 'moving, connect again');
    await Promise.race([closed, sleep(CLOSE_WAIT_MS)]);
    connection.socket.terminate();
    await closed;
  }

  /** Close all connections with 1001, spread over a part of the drain so that clients do not come back at once. */
  async drain(seconds) {
    this.leaving = true;
    clearInterval(this.timer);
    const jitterMs = Math.min(seconds * 1000 * JITTER_SHARE, MAX_JITTER_MS);
    const count = this.connections.size;
    await Promise.all([...this.connections.values()].map((connection) => this.dismiss(connection, jitterMs)));
    await Promise.all(this.farewells);
    if (count > 0) this.log.info('websockets dismissed', { count });
  }
}
