import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { PUBLIC_URL, bearer, signIn, startApp, startProvider } from './stack/program.js';
import { migrate, startServices } from './stack/services.js';

const BEAT_MS = 300;

/** Open a WebSocket and keep what it gets, so that nothing said early is missed. */
function open(app, path = '/ws', options = {}) {
  const socket = new WebSocket(`ws+unix://${app.ws}:${path}`, { headers: { Host: 'nox.test' }, ...options });
  const got = [];
  let wake = () => {};
  const note = (entry) => {
    got.push(entry);
    wake();
  };
  socket.on('message', (data) => note(JSON.parse(data)));
  socket.on('ping', () => note({ type: 'frame-ping' }));
  socket.on('close', (code) => note({ type: 'closed', code }));
  socket.on('unexpected-response', (_, response) => note({ type: 'refused', status: response.statusCode }));
  socket.on('error', () => {});
  const next = async (type) => {
    const deadline = Date.now() + 5000;
    for (;;) {
      const index = got.findIndex((entry) => entry.type === type);
      if (index >= 0) return got.splice(index, 1)[0];
      if (Date.now() > deadline) throw new Error(`no ${type} in ${JSON.stringify(got)}`);
      await Promise.race([
        new Promise((resolve) => {
          wake = resolve;
        }),
        sleep(100),
      ]);
    }
  };
  return { socket, next, say: (message) => socket.send(JSON.stringify(message)) };
}

describe('WebSockets of version 8', () => {
  let services;
  let provider;
  let app;

  before(async () => {
    services = await startServices();
    for (const version of ['6.0.0', '7.0.0', '8.0.0']) await migrate(services.admin, version);
    provider = await startProvider();
    app = await startApp('v8', services, provider, {
      WEBSOCKET_HEARTBEAT_INTERVAL: String(BEAT_MS),
      WEBSOCKET_MAX_CONNECTIONS: '4',
    });
  });
  after(async () => {
    await app?.close();
    await provider?.close();
    await services?.close();
  });

  async function row(id, wanted = () => true) {
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const { rows } = await services.admin.query(
        'SELECT * FROM websocket_sessions WHERE connection_id = $1',
        [id],
      );
      if (rows.length > 0 && wanted(rows[0])) return rows[0];
      await sleep(20);
    }
    throw new Error(`the row of ${id} did not become as wanted`);
  }

  async function ticket(email) {
    const { body } = await signIn(app, 'google', email, { scope: 'security:analyze' });
    const answer = await app.ask('POST', '/api/websocket/connect', bearer(body.access_token));
    return { ...answer.body, token: body.access_token };
  }

  test('anybody connects, is pinged at once, gets an answer, and leaves a row', async () => {
    const client = open(app);

    const welcome = await client.next('welcome');
    await client.next('frame-ping');
    client.say({ type: 'ping' });
    const pong = await client.next('pong');

    assert.deepEqual([welcome.user_id, welcome.heartbeat_interval], [null, BEAT_MS]);
    assert.match(pong.at, /^\d{4}-/);
    const opened = await row(welcome.connection_id);
    assert.deepEqual([opened.status, opened.user_id], ['connected', null]);
    const beaten = await row(welcome.connection_id, (one) => one.last_heartbeat > opened.last_heartbeat);
    assert.equal(beaten.status, 'connected');
    client.socket.close(1000);
    assert.equal((await client.next('closed')).code, 1000);
    assert.ok((await row(welcome.connection_id, (one) => one.status === 'closed')).closed_at);
  });

  test('a ticket opens one connection for its user, who gets the events of the account', async () => {
    const { url, ticket: word, expires_in: seconds, token } = await ticket('events@example.org');
    const client = open(app, `/ws?ticket=${word}`);
    const welcome = await client.next('welcome');
    const again = open(app, `/ws?ticket=${word}`);

    assert.equal(url, `${PUBLIC_URL.replace('https', 'wss')}/ws?ticket=${word}`);
    assert.equal(seconds, 30);
    assert.match(welcome.user_id, /^[0-9a-f-]{36}$/);
    assert.equal((await again.next('refused')).status, 401);
    await app.ask('POST', '/api/ai/security/analyze', {
      ...bearer(token),
      body: { request_data: { ip: '10.0.0.1' } },
    });
    assert.deepEqual(await client.next('security'), {
      type: 'security',
      threat_level: 'low',
      risk_score: 0.1,
    });
    client.socket.close();
  });

  test('a ticket needs a user', async () => {
    assert.equal((await app.ask('POST', '/api/websocket/connect')).status, 401);
  });

  test('pages of other sites and other paths are refused', async () => {
    assert.equal((await open(app, '/ws', { origin: 'https://evil.test' }).next('refused')).status, 403);
    assert.equal((await open(app, '/other').next('refused')).status, 404);
    const own = open(app, '/ws', { origin: PUBLIC_URL });
    await own.next('welcome');
    own.socket.close();
  });

  test('a client that does not answer pings is cut', async () => {
    const client = open(app, '/ws', { autoPong: false });
    const { connection_id: id } = await client.next('welcome');

    const { code } = await client.next('closed');

    assert.equal(code, 1006);
    await row(id, (one) => one.status === 'closed');
  });

  test('more than the most are refused', async () => {
    const clients = [1, 2, 3, 4].map(() => open(app));
    for (const client of clients) await client.next('welcome');

    assert.equal((await open(app).next('refused')).status, 503);
    for (const client of clients) client.socket.terminate();
    await sleep(50);
  });

  test('what is no JSON or too long ends the connection', async () => {
    const talker = open(app);
    await talker.next('welcome');
    talker.socket.send('hello');
    assert.equal((await talker.next('closed')).code, 1007);
    const shouter = open(app);
    await shouter.next('welcome');
    shouter.say({ text: 'x'.repeat(20_000) });
    assert.equal((await shouter.next('closed')).code, 1009);
  });

  test('rows that a dead process left are marked lost', async () => {
    await services.admin.query(
      "INSERT INTO websocket_sessions (connection_id, last_heartbeat) VALUES ('orphan', now() - interval '1 hour')",
    );

    await row('orphan', (one) => one.status === 'lost');
  });
});
