import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hashPassword } from '../src/v6/password.js';
import { bearer, signIn, startApp, startProvider } from './stack/program.js';
import { APP, migrate, startServices } from './stack/services.js';

const ID = '00000000-0000-4000-8000-000000000001';

describe('from version to version and back', () => {
  let services;
  let provider;
  let v6;
  let v7;
  let v8;
  let legacyToken;

  before(async () => {
    services = await startServices();
    provider = await startProvider();
  });
  after(async () => {
    await Promise.all([v6, v7, v8].map((app) => app?.close()));
    await provider?.close();
    await services?.close();
  });

  test('version 6 signs in by password and knows its opaque token', async () => {
    await migrate(services.admin, '6.0.0');
    await services.admin.query('INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, $3, $4)', [
      ID,
      'old@example.org',
      'Old Hand',
      await hashPassword('a password'),
    ]);
    v6 = await startApp('v6', services, provider);
    const login = (password) =>
      v6.ask('POST', '/api/auth/login', { body: { email: 'Old@example.org', password } });

    const wrong = await login('another');
    const right = await login('a password');
    legacyToken = right.body.token;
    const account = await v6.ask('GET', '/api/user', bearer(legacyToken));

    assert.deepEqual([wrong.status, right.status], [401, 200]);
    assert.match(legacyToken, /^[0-9a-f]{64}$/);
    assert.deepEqual([account.body.id, account.body.email], [ID, 'old@example.org']);
  });

  test('accounts are seeded by number, again without harm, and alike everywhere', async () => {
    const seed = await readFile(join(APP, 'seed.sql'), 'utf8');
    await services.admin.query("SELECT set_config('nox_api.seed_users', '250', false)");
    for (let run = 0; run < 2; run += 1) await services.admin.query(seed);

    const { rows } = await services.admin.query(
      "SELECT count(*)::int AS count, min(id::text) FILTER (WHERE email = 'user1@seed.test') AS first FROM users WHERE email LIKE '%@seed.test'",
    );
    assert.deepEqual(rows, [{ count: 250, first: 'e59c0031-b04d-aa0f-e56d-731af2fefaec' }]);
  });

  test('version 6 goes on working on the schema of 7, whose version takes the old token', async () => {
    await migrate(services.admin, '7.0.0');
    v7 = await startApp('v7', services, provider);

    assert.equal((await v6.ask('GET', '/api/user', bearer(legacyToken))).status, 200);
    assert.equal((await v7.ask('GET', '/api/user', bearer(legacyToken))).body.id, ID);
    const { rows } = await services.admin.query('SELECT DISTINCT provider FROM users');
    assert.deepEqual(rows, [{ provider: 'legacy' }]);
  });

  test('an account of version 6 is the same account when its person comes through Google', async () => {
    const { body } = await v7.ask('POST', '/api/auth/login', {
      body: { provider: 'google', login_hint: 'old@example.org' },
    });
    const account = await v7.ask('GET', '/api/user', bearer(body.token));

    assert.deepEqual(Object.keys(body), ['token', 'expires_in']);
    assert.deepEqual([account.body.id, body.expires_in], [ID, 3600]);
  });

  test('version 7 knows one provider and reads JSON whatever its content type says', async () => {
    const login = (provider) =>
      v7.ask('POST', '/api/auth/login', {
        body: { provider },
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      });

    assert.equal((await login('github')).status, 400);
    assert.equal((await login('google')).status, 200);
  });

  test('both versions run on the schema of 8; what one issues the other takes', async () => {
    const before = await v7.ask('POST', '/api/auth/login', {
      body: { provider: 'google', login_hint: 'both@example.org' },
    });
    await migrate(services.admin, '8.0.0');
    v8 = await startApp('v8', services, provider, { LEGACY_TOKEN_SUPPORT: 'true' });

    const onEight = await v8.ask('GET', '/api/user/profile', bearer(before.body.token));
    const after = await signIn(v8, 'google', 'both@example.org');
    const onSeven = await v7.ask('GET', '/api/user', bearer(after.body.access_token));
    const fresh = await v7.ask('POST', '/api/auth/login', {
      body: { provider: 'google', login_hint: 'fresh@example.org' },
    });

    assert.deepEqual([onEight.status, onEight.body.email], [200, 'both@example.org']);
    assert.deepEqual([onSeven.status, onSeven.body.id], [200, onEight.body.id]);
    assert.equal((await v8.ask('GET', '/api/user/profile', bearer(fresh.body.token))).status, 200);
    assert.equal((await v8.ask('GET', '/api/user/profile', bearer(legacyToken))).body.id, ID);
  });

  test('a sign-out is the same act in both: one row, before the answer, however often it is sent', async () => {
    const { body } = await signIn(v8, 'google', 'same@example.org');
    const token = body.access_token;

    for (const app of [v7, v8, v7]) {
      for (const id of ['same-1', 'same-1', 'same-2']) {
        const { status, body: answer } = await app.ask(
          'POST',
          '/api/auth/logout',
          bearer(token, { 'X-Request-Id': id }),
        );
        assert.deepEqual([status, answer], [200, { status: 'ok', request_id: id }]);
        const { rows } = await services.admin.query(
          'SELECT event, status FROM authentication_logs WHERE request_id = $1',
          [id],
        );
        assert.deepEqual(rows, [{ event: 'logout', status: 'success' }]);
      }
    }
  });

  test('the contract ends old tokens and nothing else', async () => {
    await migrate(services.admin, '8.0.0', ['contract']);

    assert.equal((await v8.ask('GET', '/api/user/profile', bearer(legacyToken))).status, 401);
    assert.equal((await v7.ask('GET', '/api/user', bearer(legacyToken))).status, 401);
    const { body } = await v7.ask('POST', '/api/auth/login', {
      body: { provider: 'google', login_hint: 'old@example.org' },
    });
    assert.equal((await v7.ask('GET', '/api/user', bearer(body.token))).body.id, ID);
  });

  test('the migrations of 8 and 7 can be taken back', async () => {
    await Promise.all([v6, v7, v8].map((app) => app.close()));
    const undo = [
      [
        '8.0.0',
        [
          '006_feature_indexes',
          '005_refresh_tokens',
          '004_websocket_sessions',
          '003_performance_metrics',
          '002_ai_security_logs',
          '001_users_security',
        ],
      ],
      ['7.0.0', ['003_authentication_logs', '002_users_provider_identity', '001_users_provider']],
    ];
    for (const [version, names] of undo) {
      for (const name of names) {
        const sql = await readFile(
          join(APP, 'releases', version, 'migrations/expand', `${name}.revert.sql`),
          'utf8',
        );
        for (const statement of sql.split(';').filter((part) => part.trim()))
          await services.admin.query(statement);
      }
    }
    const { rows } = await services.admin.query(
      "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
    );
    assert.deepEqual(rows, [{ table_name: 'users' }]);
  });
});
