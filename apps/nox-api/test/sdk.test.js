import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import vm from 'node:vm';
import WebSocket from 'ws';
import { PUBLIC_URL, startApp, startProvider } from './stack/program.js';
import { APP, migrate, startServices } from './stack/services.js';

const MINIFIED = join(APP, 'public/v8/js/nox-sdk-v8.min.js');

test('the minified SDK is made from its source', async () => {
  const words = ['sdk/nox-sdk-v8.js', '--compress', '--mangle', '--comments', 'false'];
  const { stdout } = await promisify(execFile)(join(APP, 'node_modules/.bin/terser'), words, { cwd: APP });

  assert.equal((await readFile(MINIFIED, 'utf8')).trim(), stdout.trim());
});

describe('NOXClient', () => {
  let services;
  let provider;
  let app;
  let NOXClient;

  before(async () => {
    services = await startServices();
    for (const version of ['6.0.0', '7.0.0', '8.0.0']) await migrate(services.admin, version);
    provider = await startProvider();
    app = await startApp('v8', services, provider, { JWT_EXPIRES_IN: '60' });
    const page = vm.createContext({
      URL,
      URLSearchParams,
      setTimeout,
      Math,
      JSON,
      crypto: { randomUUID: () => 'page' },
    });
    vm.runInContext(await readFile(MINIFIED, 'utf8'), page);
    ({ NOXClient } = page);
  });
  after(async () => {
    await app?.close();
    await provider?.close();
    await services?.close();
  });

  /** A browser's fetch and WebSocket, over the sockets of the app. */
  function browser(overrides = {}) {
    const calls = [];
    const fetchWith = async (url, { method = 'GET', headers = {}, body } = {}) => {
      calls.push(`${method} ${new URL(url).pathname}`);
      const answer = await app.ask(method, url.slice(PUBLIC_URL.length), {
        headers,
        ...(body ? { body: JSON.parse(body) } : {}),
      });
      return { status: answer.status, ok: answer.status < 300, json: async () => answer.body };
    };
    function Socket(url) {
      const { pathname, search } = new URL(url);
      return new WebSocket(`ws+unix://${app.ws}:${pathname}${search}`, { headers: { Host: 'nox.test' } });
    }
    return {
      client: new NOXClient({ baseUrl: PUBLIC_URL, fetch: fetchWith, WebSocket: Socket, ...overrides }),
      calls,
    };
  }

  async function signIn(client, email) {
    const url = await client.getAuthUrl('google', '/callback', { scope: 'security:analyze' });
    const answer = await fetch(`${url}&login_hint=${email}`, { redirect: 'manual' });
    const { code, state } = Object.fromEntries(new URL(answer.headers.get('location')).searchParams);
    client.setTokens(await client.exchangeCode(code, 'google', state));
  }

  test('signs in, shows the profile, reports vitals, analyzes and signs out', async () => {
    const { client } = browser();
    await signIn(client, 'sdk@example.org');

    assert.equal((await client.getUserProfile()).email, 'sdk@example.org');
    assert.equal((await client.analyzeSecurity({ ip: '192.168.1.1' })).risk_score, 0.1);
    assert.equal((await client.reportMetrics([{ name: 'LCP', value: 1, unit: 'ms' }])).recorded, 1);
    await client.logout();
    assert.equal(client.getTokens(), undefined);
    await assert.rejects(client.getUserProfile(), { status: 401 });
  });

  test('renews once for all callers before the token ends', async () => {
    const { client, calls } = browser();
    await signIn(client, 'renew@example.org');
    client.setTokens({ ...client.getTokens(), expires_in: 1 });

    const profiles = await Promise.all([
      client.getUserProfile(),
      client.getUserProfile(),
      client.getUserProfile(),
    ]);

    assert.deepEqual(
      profiles.map(({ email }) => email),
      Array(3).fill('renew@example.org'),
    );
    assert.equal(calls.filter((call) => call === 'POST /api/auth/refresh').length, 1);
  });

  test('renews when the API refuses the token, and gives up when the session is over', async () => {
    const { client } = browser();
    await signIn(client, 'refused@example.org');
    client.setTokens({ ...client.getTokens(), access_token: 'no.longer.valid', expires_in: 3600 });

    assert.equal((await client.getUserProfile()).email, 'refused@example.org');
    client.setTokens({ ...client.getTokens(), access_token: 'no.longer.valid', refresh_token: 'unknown' });
    await assert.rejects(client.getUserProfile(), { status: 401, code: 'invalid_refresh_token' });
    assert.equal(client.getTokens(), undefined);
  });

  test('hears events over its WebSocket', async () => {
    const { client } = browser({ enableWebSockets: true });
    const welcome = new Promise((resolve) => {
      client.on('welcome', resolve);
    });
    const event = new Promise((resolve) => {
      client.on('security', resolve);
    });
    await signIn(client, 'listener@example.org');
    await welcome;

    await client.analyzeSecurity({ ip: '10.0.0.1' });

    assert.equal((await event).threat_level, 'low');
    client.clearTokens();
  });
});
