import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, bearer, signIn, startApp, startProvider } from './stack/program.js';
import { migrate, startServices } from './stack/services.js';

describe('switches of version 8', () => {
  let services;
  let provider;
  const running = [];

  before(async () => {
    services = await startServices();
    for (const version of ['6.0.0', '7.0.0', '8.0.0']) await migrate(services.admin, version);
    provider = await startProvider();
  });
  after(async () => {
    await Promise.all(running.map((app) => app.close()));
    await provider?.close();
    await services?.close();
  });

  async function start(overrides) {
    const app = await startApp('v8', services, provider, overrides);
    running.push(app);
    return app;
  }

  test('the rate limit counts a user apart from an address, and says when to come back', async () => {
    const app = await start({ RATE_LIMIT_MAX_REQUESTS: '5', RATE_LIMIT_WINDOW_MS: '600000' });
    const from = (address) => app.ask('GET', '/api/user/profile', { headers: { 'X-Real-IP': address } });

    const statuses = [];
    for (let count = 0; count < 7; count += 1) statuses.push((await from('203.0.113.1')).status);
    const refused = await from('203.0.113.1');
    const neighbour = await from('203.0.113.2');
    const health = await app.ask('GET', '/health', { headers: { 'X-Real-IP': '203.0.113.1' } });

    assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429, 429]);
    assert.deepEqual(
      [refused.headers['x-ratelimit-limit'], refused.headers['x-ratelimit-remaining']],
      ['5', '0'],
    );
    const wait = Number(refused.headers['retry-after']);
    assert.ok(wait >= 1 && wait <= 600, `Retry-After: ${wait}`);
    assert.deepEqual([neighbour.status, neighbour.headers['x-ratelimit-remaining']], [401, '4']);
    assert.equal(health.status, 200);
  });

  test('a user keeps one count over several addresses', async () => {
    const app = await start({ RATE_LIMIT_MAX_REQUESTS: '3', RATE_LIMIT_WINDOW_MS: '600001' });
    const { body } = await signIn(app, 'google', 'limited@example.org');

    const statuses = [];
    for (let count = 0; count < 4; count += 1) {
      const options = bearer(body.access_token, { 'X-Real-IP': `203.0.113.${count}` });
      statuses.push((await app.ask('GET', '/api/user/profile', options)).status);
    }

    assert.deepEqual(statuses, [200, 200, 200, 429]);
  });

  test('compatibility brings back what version 7 had', async () => {
    const app = await start({ BACKWARD_COMPATIBILITY: 'true' });

    const login = await app.ask('POST', '/api/auth/login', {
      body: { provider: 'google', login_hint: 'compat@example.org' },
    });
    const account = await app.ask('GET', '/api/user', bearer(login.body.token));

    assert.deepEqual(Object.keys(login.body), ['token', 'expires_in']);
    assert.deepEqual(Object.keys(account.body), ['id', 'email', 'name', 'created_at']);
  });

  test('what is switched off is not there', async () => {
    const off = [
      'AI_SECURITY_ENABLED',
      'WEBVITALS_ENABLED',
      'PERFORMANCE_MONITORING',
      'WEBSOCKET_ENABLED',
      'OAUTH_REFRESH_TOKEN_ENABLED',
      'HEALTH_CHECK_ENABLED',
      'HELMET_ENABLED',
    ];
    const app = await start(Object.fromEntries(off.map((name) => [name, 'false'])));
    const { body } = await signIn(app, 'google', 'off@example.org', { scope: 'security:analyze' });

    assert.equal(body.refresh_token, undefined);
    const calls = [
      ['POST', '/api/ai/security/analyze'],
      ['POST', '/api/performance/metrics'],
      ['GET', '/api/performance/metrics'],
      ['POST', '/api/websocket/connect'],
      ['POST', '/api/auth/refresh'],
      ['GET', '/health/db'],
    ];
    for (const [method, path] of calls) {
      assert.equal((await app.ask(method, path, bearer(body.access_token))).status, 404, path);
    }
    const health = await app.ask('GET', '/health');
    assert.deepEqual([health.status, health.headers['content-security-policy']], [200, undefined]);
  });

  test('migration mode reads and does not write', async () => {
    const app = await start({ MIGRATION_MODE: 'true' });

    const write = await app.ask('POST', '/api/performance/metrics', { body: {} });
    const read = await app.ask('GET', '/api/auth/google/url');

    assert.deepEqual([write.status, write.headers['retry-after'], read.status], [503, '30', 200]);
  });

  test('without rotation a refresh token stays the same', async () => {
    const app = await start({ OAUTH_TOKEN_ROTATION: 'false' });
    const { body } = await signIn(app, 'google', 'still@example.org');
    const options = { body: { refresh_token: body.refresh_token } };

    const answers = [
      await app.ask('POST', '/api/auth/refresh', options),
      await app.ask('POST', '/api/auth/refresh', options),
    ];

    assert.deepEqual(
      answers.map(({ status, body: { refresh_token: token } }) => [status, token]),
      [
        [200, body.refresh_token],
        [200, body.refresh_token],
      ],
    );
  });

  test('figures for Prometheus are on their own socket and not on the public one', async () => {
    const app = await start({ METRICS_COLLECTION_INTERVAL: '1000', BUNDLE_ANALYZER_ENABLED: 'true' });
    await app.ask('GET', '/nothing');

    const text = (await ask(app.metrics, 'GET', '/metrics')).body;

    assert.match(text, /http_requests_total\{method="GET",route="unmatched",status="404",version="8\.0\.0"/);
    assert.match(text, /process_resident_memory_bytes\{/);
    assert.equal((await app.ask('GET', '/metrics')).status, 404);
    await sleep(1300);
    const { body } = await signIn(app, 'google', 'figures@example.org');
    const sum = await app.ask('GET', '/api/performance/metrics', bearer(body.access_token));
    assert.ok(sum.body.metrics.some(({ name }) => name === 'process.memory'));
    assert.ok(sum.body.bundle['/js/nox-sdk-v8.min.js'] > 1000);
  });

  test('a scoring service is heard when it says more, and not missed when it is away', async () => {
    const app = await start({ AI_SECURITY_MODEL_URL: 'http://127.0.0.1:1' });
    const { body } = await signIn(app, 'google', 'model@example.org', { scope: 'security:analyze' });

    const options = { ...bearer(body.access_token), body: { request_data: { ip: '10.0.0.1' } } };
    const { status, body: found } = await app.ask('POST', '/api/ai/security/analyze', options);

    assert.deepEqual([status, found.risk_score], [200, 0.1]);
  });

  test('a wrong environment ends the program with every problem named and no secret told', async () => {
    const started = startApp('v8', services, provider, {
      JWT_SECRET: '',
      AI_THREAT_THRESHOLD: '7',
      WEBSOCKET_ENABLED: 'maybe',
      REDIS_URL: 'hush hush',
    });

    await assert.rejects(started, (error) => {
      for (const part of [
        'JWT_SECRET is not set',
        'AI_THREAT_THRESHOLD is above 1',
        'WEBSOCKET_ENABLED is neither',
        'REDIS_URL is not a URL',
      ])
        assert.ok(error.message.includes(part), part);
      return !error.message.includes('hush');
    });
  });
});
