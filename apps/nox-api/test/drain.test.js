import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { bearer, signIn, startApp, startProvider } from './stack/program.js';
import { migrate, startServices } from './stack/services.js';

describe('the end of a process', () => {
  let services;
  let provider;

  before(async () => {
    services = await startServices();
    for (const version of ['6.0.0', '7.0.0', '8.0.0']) await migrate(services.admin, version);
    provider = await startProvider();
  });
  after(async () => {
    await provider?.close();
    await services?.close();
  });

  function openSocket(app) {
    const socket = new WebSocket(`ws+unix://${app.ws}:/ws`, { headers: { Host: 'nox.test' } });
    const closed = new Promise((resolve) => {
      socket.on('close', (code) => resolve({ code, at: Date.now() }));
    });
    const opened = new Promise((resolve, reject) => {
      socket.on('message', resolve);
      socket.on('error', reject);
    });
    return { socket, opened, closed };
  }

  test('WebSockets are closed with 1001, spread out, and their rows say so', async () => {
    const app = await startApp('v8', services, provider, { DRAIN_SECONDS: '4' });
    const clients = Array.from({ length: 12 }, () => openSocket(app));
    await Promise.all(clients.map(({ opened }) => opened));

    const status = await app.close();

    assert.equal(status, 0);
    const ends = await Promise.all(clients.map(({ closed }) => closed));
    assert.deepEqual(new Set(ends.map(({ code }) => code)), new Set([1001]));
    const told = JSON.parse(await readFile(join(app.directory, 'drained.json'), 'utf8'));
    assert.deepEqual(told, { websockets: { 1001: 12 } });
    const times = ends.map(({ at }) => at);
    const spread = Math.max(...times) - Math.min(...times);
    assert.ok(spread > 50 && spread < 2000, `spread over ${spread} ms`);
    const { rows } = await services.admin.query('SELECT DISTINCT status FROM websocket_sessions');
    assert.deepEqual(rows, [{ status: 'closed' }]);
  });

  test('a request in flight is answered, and new ones are not accepted', async () => {
    const slow = createServer((request, response) => {
      setTimeout(() => response.end('{"score": 0.9}'), 800);
    });
    await new Promise((resolve) => {
      slow.listen(0, '127.0.0.1', resolve);
    });
    const app = await startApp('v8', services, provider, {
      AI_SECURITY_MODEL_URL: `http://127.0.0.1:${slow.address().port}`,
    });
    const { body } = await signIn(app, 'google', 'flight@example.org', { scope: 'security:analyze' });
    const idle = connect(app.http);
    await new Promise((resolve) => {
      idle.once('connect', resolve);
    });

    const flight = app.ask('POST', '/api/ai/security/analyze', {
      ...bearer(body.access_token),
      body: { request_data: {} },
    });
    await sleep(100);
    const ended = app.close();
    await sleep(300);
    await assert.rejects(app.ask('GET', '/health'), { code: /ENOENT|ECONNREFUSED/ });
    const answer = await flight;

    assert.deepEqual([answer.status, answer.body.risk_score, answer.headers.connection], [200, 0.9, 'close']);
    assert.equal(await ended, 0);
    idle.destroy();
    slow.close();
  });

  test('a drain ends at its deadline whatever still hangs', async () => {
    const app = await startApp('v7', services, provider, { DRAIN_SECONDS: '1' });
    const hanging = connect(app.http);
    hanging.on('error', () => {});
    hanging.write('POST /api/auth/login HTTP/1.1\r\nHost: nox.test\r\nContent-Length: 100\r\n\r\n{');
    await sleep(100);

    const started = Date.now();
    const status = await app.close();
    const seconds = (Date.now() - started) / 1000;

    assert.equal(status, 0);
    assert.ok(seconds > 0.9 && seconds < 3, `${seconds} s`);
    assert.ok(app.lines.some((line) => line.includes('drain deadline passed')));
    hanging.destroy();
  });

  test('sockets are for the group, a stale one is replaced, a live one is not stolen', async () => {
    const first = await startApp('v7', services, provider);
    assert.equal((await stat(first.http)).mode & 0o777, 0o660);
    await assert.rejects(
      startApp('v7', services, provider, { SOCKET_DIRECTORY: first.directory }),
      /in use by another process/,
    );
    assert.equal((await first.ask('GET', '/health')).status, 200);

    await first.close('SIGKILL');
    assert.ok(existsSync(first.http), 'a killed process leaves its socket');
    const second = await startApp('v7', services, provider, { SOCKET_DIRECTORY: first.directory });
    assert.equal((await first.ask('GET', '/health')).status, 200);
    await second.close();
    assert.ok(!existsSync(first.http), 'a drained process takes its socket along');
  });

  test('a file in the place of a socket is left alone', async () => {
    const directory = services.folder;
    await writeFile(join(directory, 'http.sock'), 'mine');

    await assert.rejects(
      startApp('v7', services, provider, { SOCKET_DIRECTORY: directory }),
      /is not a socket/,
    );
  });

  test('without a socket directory it listens on a port, for development', async () => {
    const app = await startApp('v7', services, provider, {
      SOCKET_DIRECTORY: '',
      HOST: '127.0.0.1',
      PORT: '0',
    });
    const { places } = await app.untilLogged((entry) => entry.message === 'listening');

    const answer = await fetch(`http://${places.http}/health`);

    assert.equal(answer.status, 200);
    await app.close();
  });
});
