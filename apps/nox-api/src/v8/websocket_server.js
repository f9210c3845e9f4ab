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

/**
 * Serve /ws: welcome, heartbeat, events, and a goodbye with 1001 when the process ends.
 *
 * Anybody may connect and sees the beat; with a ticket the connection belongs to a user and gets
 * that user's events. A client may send `{"type": "ping"}` and gets `{"type": "pong"}`.
 *
 * @param {{log: object, rows: object, tickets: object, heartbeatMs: number, maxConnections: number, gauge: object, origins: Set<string>}} options
 */
export function createWebSockets({ log, rows, tickets, heartbeatMs, maxConnections, gauge, origins }) {
  const server = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE, clientTracking: false });
  const connections = new Map();
  const farewells = new Set();
  let leaving = false;

  const say = (connection, message) => connection.socket.send(JSON.stringify(message));

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

  function opened(socket, userId) {
    const connection = { id: randomUUID(), userId, socket, alive: true };
    connections.set(connection.id, connection);
    gauge.set(connections.size);
    const stored = rows.opened(connection.id, userId);
    socket.on('pong', () => {
      connection.alive = true;
    });
    socket.on('message', (data) => receive(connection, data));
    socket.on('error', (error) => log.debug('websocket error', { connection_id: connection.id, error }));
    socket.on('close', (code) => {
      connections.delete(connection.id);
      gauge.set(connections.size);
      log.info('websocket closed', { connection_id: connection.id, code });
      connection.forgotten = stored.then(() => rows.closed([connection.id]));
      farewells.add(connection.forgotten);
      connection.forgotten.finally(() => farewells.delete(connection.forgotten));
    });
    say(connection, {
      type: 'welcome',
      connection_id: connection.id,
      user_id: userId ?? null,
      heartbeat_interval: heartbeatMs,
    });
    log.info('websocket opened', { connection_id: connection.id, user_id: userId });
  }
  async function admit(request, socket, head) {
    const url = new URL(request.url, 'http://localhost');
    if (url.pathname !== '/ws') return refuse(socket, 404, 'Not Found');
    if (leaving || connections.size >= maxConnections) return refuse(socket, 503, 'Service Unavailable');
    const { origin } = request.headers;
    if (origin && !origins.has(origin)) return refuse(socket, 403, 'Forbidden');
    const ticket = url.searchParams.get('ticket');
    const userId = ticket === null ? undefined : await tickets.take(ticket);
    if (ticket !== null && !userId) return refuse(socket, 401, 'Unauthorized');
    return server.handleUpgrade(request, socket, head, (accepted) => opened(accepted, userId));
  }

  function beat() {
    const alive = [];
    for (const connection of connections.values()) {
      if (connection.alive) {
        connection.alive = false;
        connection.socket.ping();
        alive.push(connection.id);
      } else {
        connection.socket.terminate();
      }
    }
    if (alive.length > 0) rows.beat(alive);
    rows.sweep();
  }
  const timer = setInterval(beat, heartbeatMs);
  timer.unref();

  async function dismiss(connection, jitterMs) {
    await sleep(Math.random() * jitterMs);
    if (!connections.has(connection.id)) return;
    const closed = new Promise((resolve) => {
      connection.socket.once('close', resolve);
    });
    connection.socket.close(GOING_AWAY, 'moving, connect again');
    await Promise.race([closed, sleep(CLOSE_WAIT_MS, undefined, { ref: false })]);
    connection.socket.terminate();
  }

  return {
    upgrade: (request, socket, head) => {
      socket.on('error', () => socket.destroy());
      admit(request, socket, head).catch((error) => {
        log.error('websocket upgrade failed', { error });
        refuse(socket, 503, 'Service Unavailable');
      });
    },
    /** Send an event to every connection of a user on this process. */
    notify: (userId, message) => {
      for (const connection of connections.values()) {
        if (connection.userId === userId) say(connection, message);
      }
    },
    /** Close all connections with 1001, spread over a part of the drain so that clients do not come back at once. */
    drain: async (seconds) => {
      leaving = true;
      clearInterval(timer);
      const jitterMs = Math.min(seconds * 1000 * JITTER_SHARE, MAX_JITTER_MS);
      const count = connections.size;
      await Promise.all([...connections.values()].map((connection) => dismiss(connection, jitterMs)));
      await Promise.all(farewells);
      if (count > 0) log.info('websockets dismissed', { count });
    },
  };
}
