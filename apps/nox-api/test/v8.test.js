import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PUBLIC_URL, bearer, signIn, startApp, startProvider } from './stack/program.js';
import { migrate, startServices } from './stack/services.js';

describe('version 8', () => {
  let services;
  let provider;
  let app;

  before(async () => {
    services = await startServices();
    for (const version of ['6.0.0', '7.0.0', '8.0.0']) await migrate(services.admin, version);
    provider = await startProvider();
    app = await startApp('v8', services, provider);
  });
  after(async () => {
    await app?.close();
    await provider?.close();
    await services?.close();
  });

  const rows = async (text, values) => (await services.admin.query(text, values)).rows;

  test('tells that it, its database and its cache are well', async () => {
    for (const path of ['/health', '/health/db', '/health/redis']) {
      const { status, body } = await app.ask('GET', path);

      assert.equal(status, 200, path);
      assert.equal(body.status, 'ok', path);
    }
  });

  test('writes every sign-in and every failure of one to the authentication log', async () => {
    const begin = new Date();
    for (const email of ['one@example.org', 'two@example.org', 'three@example.org']) {
      await signIn(app, 'google', email);
    }
    const body = { code: 'x', state: 'y' };
    await app.ask('POST', '/api/auth/google/callback', { body, headers: { 'X-Request-Id': 'failing' } });

    const [failure] = await rows(
      "SELECT event, status, provider, reason FROM authentication_logs WHERE request_id = 'failing'",
    );
    assert.deepEqual(failure, {
      event: 'login',
      status: 'failure',
      provider: 'google',
      reason: 'invalid_state',
    });
    const [{ share }] = await rows(
      `SELECT (count(*) FILTER (WHERE status = 'success') * 100.0 / count(*))::float8 AS share
       FROM authentication_logs WHERE event = 'login' AND created_at >= $1`,
      [begin],
    );
    assert.equal(share, 75);
  });

  test('a sign-out waits for a database that is swapped, and is acknowledged with its row', async () => {
    const { body } = await signIn(app, 'google', 'swap@example.org');
    const other = await services.connect('postgres');
    await other.query('ALTER DATABASE nox_api ALLOW_CONNECTIONS false');
    await other.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'nox_api_app'");

    const answering = app.ask(
      'POST',
      '/api/auth/logout',
      bearer(body.access_token, { 'X-Request-Id': 'swap' }),
    );
    await sleep(300);
    await other.query('ALTER DATABASE nox_api ALLOW_CONNECTIONS true');
    const { status } = await answering;
    await other.end();

    assert.equal(status, 200);
    assert.equal((await rows("SELECT * FROM authentication_logs WHERE request_id = 'swap'")).length, 1);
  });

  test('a database that stays away is said to be away, and is found again', async () => {
    const { body } = await signIn(app, 'google', 'away@example.org');
    const other = await services.connect('postgres');
    await other.query('ALTER DATABASE nox_api ALLOW_CONNECTIONS false');
    await other.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'nox_api_app'");

    const away = await app.ask('GET', '/api/user/profile', bearer(body.access_token));
    const health = await app.ask('GET', '/health/db');
    await other.query('ALTER DATABASE nox_api ALLOW_CONNECTIONS true');
    await other.end();
    const back = await app.ask('GET', '/api/user/profile', bearer(body.access_token));

    assert.deepEqual([away.status, away.body.error], [503, 'database_unavailable']);
    assert.deepEqual([health.status, health.body.status], [503, 'error']);
    assert.equal(back.status, 200);
  });

  describe('security analysis', () => {
    const analyze = (token, requestData) =>
      app.ask('POST', '/api/ai/security/analyze', { ...bearer(token), body: { request_data: requestData } });

    test('is for tokens that asked for it', async () => {
      const { body } = await signIn(app, 'google', 'plain@example.org');
      const { status, body: refusal } = await analyze(body.access_token, { ip: '192.168.1.1' });

      assert.deepEqual(
        [status, refusal.error, refusal.scope],
        [403, 'insufficient_scope', 'security:analyze'],
      );
    });

    test('scores by the stated rule, keeps the record and marks the account', async () => {
      const { body } = await signIn(app, 'google', 'scan@example.org', { scope: 'security:analyze' });

      const low = await analyze(body.access_token, { ip: '192.168.1.1' });
      const hostile = await analyze(body.access_token, {
        ip: '203.0.113.9',
        user_agent: 'sqlmap/1.7',
        body: { query: "x' OR 1=1 --", password: 'hunter2' },
      });

      assert.deepEqual([low.body.threat_level, low.body.risk_score, low.body.blocked], ['low', 0.1, false]);
      // another address 0.2, a scanner 0.4, SQL 0.6: 1 - 0.8 * 0.6 * 0.4
      assert.deepEqual(
        [hostile.body.threat_level, hostile.body.risk_score, hostile.body.blocked],
        ['high', 0.81, true],
      );
      assert.deepEqual(
        hostile.body.detected_threats.map(({ type }) => type),
        ['address-changed', 'scanner-user-agent', 'sql-injection'],
      );
      const profile = await app.ask('GET', '/api/user/profile', bearer(body.access_token));
      assert.equal(profile.body.security_risk_score, 0.81);
      const [kept] = await rows(
        'SELECT threat_level, request_data FROM ai_security_logs WHERE user_id = $1 ORDER BY id DESC',
        [profile.body.id],
      );
      assert.equal(kept.threat_level, 'high');
      assert.equal(kept.request_data.body.password, '[REDACTED]');
    });
  });

  test('stores web vitals and sums them up', async () => {
    const metrics = [1, 2, 3, 4].map((value) => ({ name: 'LCP', value: value * 1000, unit: 'ms' }));
    const stored = await app.ask('POST', '/api/performance/metrics', { body: { session_id: 's1', metrics } });
    const { body } = await signIn(app, 'google', 'vitals@example.org');
    const sum = await app.ask('GET', '/api/performance/metrics', bearer(body.access_token));

    assert.deepEqual([stored.status, stored.body.recorded], [202, 4]);
    assert.deepEqual(
      sum.body.metrics.find(({ name }) => name === 'LCP'),
      { name: 'LCP', unit: 'ms', count: 4, p50: 2500, p75: 3250, p95: 3850 },
    );
    for (const broken of [
      { metrics: [] },
      { metrics: [{ name: '', value: 1 }] },
      { metrics: [{ name: 'LCP', value: 'fast' }] },
    ]) {
      assert.equal((await app.ask('POST', '/api/performance/metrics', { body: broken })).status, 400);
    }
  });

  test('points from what version 7 had to what took its place', async () => {
    const login = await app.ask('POST', '/api/auth/login', { body: { provider: 'google' } });
    const account = await app.ask('GET', '/api/user');

    assert.deepEqual([login.status, login.body.replacement], [410, '/api/auth/{provider}/url']);
    assert.deepEqual([account.status, account.body.replacement], [410, '/api/user/profile']);
  });

  test('answers what cannot be with the right status and a request id', async () => {
    const cases = [
      ['GET', '/nothing', {}, 404],
      ['DELETE', '/health', {}, 405],
      ['GET', '/api/user/profile', {}, 401],
      ['GET', '/api/user/profile', bearer('not.a.token'), 401],
      ['GET', '/api/auth/facebook/url', {}, 404],
      ['GET', '/api/auth/google/url?scope=admin', {}, 400],
      ['POST', '/api/auth/refresh', { body: { refresh_token: 'unknown' } }, 401],
      ['POST', '/api/auth/refresh', {}, 400],
      ['POST', '/api/performance/metrics', { body: { padding: 'x'.repeat(70_000) } }, 413],
    ];
    for (const [method, path, options, expected] of cases) {
      const { status, headers } = await app.ask(method, path, options);

      assert.equal(status, expected, `${method} ${path}`);
      assert.ok(headers['x-request-id'], `${method} ${path}`);
    }
  });

  test('serves the page, the SDK and static files with their caching', async () => {
    const caching = {
      '/': 'no-cache',
      '/callback': 'no-cache',
      '/js/nox-sdk-v8.min.js': 'public, max-age=300',
      '/static/page-1.css': 'public, max-age=31536000, immutable',
    };
    for (const [path, expected] of Object.entries(caching)) {
      const { status, headers } = await app.ask('GET', path);
      const again = await app.ask('GET', path, { headers: { 'If-None-Match': headers.etag } });

      assert.deepEqual([status, headers['cache-control'], again.status], [200, expected, 304], path);
    }
    assert.equal((await app.ask('GET', '/static/../../package.json')).status, 404);
  });

  test('answers browsers of its own origin and of no other', async () => {
    const preflight = (origin) =>
      app.ask('OPTIONS', '/api/user/profile', {
        headers: { Origin: origin, 'Access-Control-Request-Method': 'GET' },
      });

    const own = await preflight(PUBLIC_URL);
    const foreign = await preflight('https://evil.test');

    assert.deepEqual([own.status, own.headers['access-control-allow-origin']], [204, PUBLIC_URL]);
    assert.equal(foreign.headers['access-control-allow-origin'], undefined);
  });

  test('writes one JSON object a line, with the request id and without secrets', async () => {
    const { body } = await signIn(app, 'google', 'log@example.org');
    await app.ask(
      'GET',
      '/api/user/profile',
      bearer(body.access_token, { 'X-Request-Id': 'in-the-log', 'X-Real-IP': '203.0.113.7' }),
    );

    const line = await app.untilLogged((entry) => entry.request_id === 'in-the-log');
    assert.deepEqual(
      [line.status, line.path, line.address, line.level],
      [200, '/api/user/profile', '203.0.113.7', 'info'],
    );
    const query = '?code=told-to-nobody&state=x';
    await app.ask('GET', `/api/auth/google/callback${query}`, { headers: { 'X-Request-Id': 'with-a-code' } });
    const refused = await app.untilLogged((entry) => entry.request_id === 'with-a-code');
    assert.equal(refused.path, '/api/auth/google/callback');
    const text = app.lines.join('\n');
    for (const secret of [body.access_token, body.refresh_token, 'told-to-nobody', 'google-secret'])
      assert.ok(!text.includes(secret));
  });
});
