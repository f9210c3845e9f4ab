import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { PUBLIC_URL, bearer, signIn, startApp, startProvider } from './stack/program.js';
import { migrate, startServices } from './stack/services.js';

const PROVIDERS = ['google', 'github', 'microsoft'];

describe('signing in to version 8', () => {
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

  for (const name of PROVIDERS) {
    test(`signs in through ${name} and shows the profile`, async () => {
      const { status, body, headers } = await signIn(app, name, `Ada+${name}@Example.org`);

      assert.equal(status, 200);
      assert.deepEqual(Object.keys(body).sort(), [
        'access_token',
        'expires_in',
        'refresh_expires_in',
        'refresh_token',
        'scope',
        'token_type',
      ]);
      assert.deepEqual(
        [body.token_type, body.expires_in, body.refresh_expires_in, body.scope],
        ['Bearer', 3600, 604800, 'read write'],
      );
      assert.match(headers['set-cookie'][0], /^nox_sign_in=; Max-Age=0;/);
      const profile = await app.ask('GET', '/api/user/profile', bearer(body.access_token));
      assert.deepEqual(Object.keys(profile.body), [
        'id',
        'email',
        'name',
        'provider',
        'avatar_url',
        'biometric_enabled',
        'security_risk_score',
        'last_login',
        'created_at',
        'updated_at',
      ]);
      assert.deepEqual([profile.body.email, profile.body.provider], [`ada+${name}@example.org`, name]);
      assert.equal(profile.body.security_risk_score, 0);
      assert.match(profile.body.last_login, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    });

    test(`${name} sends the browser back only to a registered address`, async () => {
      for (const query of ['', '&redirect=/callback']) {
        const { body } = await app.ask('GET', `/api/auth/${name}/url?login_hint=ada@example.org${query}`);
        const answer = await fetch(body.url, { redirect: 'manual' });

        assert.equal(answer.status, 302);
        assert.ok(answer.headers.get('location').startsWith(`${body.redirect_uri}?`));
      }
      const { body } = await app.ask('GET', `/api/auth/${name}/url`);
      const forged = new URL(body.url);
      forged.searchParams.set('redirect_uri', `${PUBLIC_URL}/elsewhere`);
      const answer = await fetch(forged, { redirect: 'manual' });
      assert.equal(answer.status, 400);
      assert.equal((await answer.json()).error, 'redirect_uri_mismatch');
    });
  }

  async function redirectOf(path, cookie) {
    const start = await app.ask('GET', path);
    const answer = await fetch(start.body.url, { redirect: 'manual' });
    const back = new URL(answer.headers.get('location'));
    const own = start.headers['set-cookie'][0].split(';')[0];
    return { path: back.pathname + back.search, query: back.searchParams, cookie: cookie ?? own };
  }

  test('finishes a sign-in in the browser that began it, and in no other', async () => {
    const begun = await redirectOf('/api/auth/google/url?login_hint=cookie@example.org');

    const stranger = await app.ask('GET', begun.path);
    const forged = await app.ask('GET', begun.path, { headers: { Cookie: `${begun.cookie}x` } });
    const owner = await app.ask('GET', begun.path, { headers: { Cookie: begun.cookie } });

    assert.deepEqual([stranger.status, stranger.body.error], [400, 'invalid_state']);
    assert.deepEqual([forged.status, forged.body.error], [400, 'invalid_state']);
    assert.equal(owner.status, 200);
    assert.ok(owner.body.access_token);
  });

  test('hands the code to the page that asked, which posts it with nothing but its cookie', async () => {
    const begun = await redirectOf('/api/auth/google/url?redirect=/callback&login_hint=page@example.org');
    const passed = await app.ask('GET', begun.path);

    assert.equal(passed.status, 302);
    const landing = new URL(passed.headers.location, PUBLIC_URL);
    assert.equal(landing.pathname, '/callback');
    const code = landing.searchParams.get('code');
    const answer = await app.ask('POST', '/api/auth/google/callback', {
      body: { code },
      headers: { Cookie: begun.cookie },
    });
    assert.equal(answer.status, 200);
  });

  test('a code, a state and a provider fit together once', async () => {
    const begun = await redirectOf('/api/auth/google/url?login_hint=once@example.org');
    const body = Object.fromEntries(begun.query);
    const wrongProvider = await redirectOf('/api/auth/github/url?login_hint=once@example.org');

    const first = await app.ask('POST', '/api/auth/google/callback', { body });
    const again = await app.ask('POST', '/api/auth/google/callback', { body });
    const without = await app.ask('POST', '/api/auth/google/callback', { body: { code: body.code } });
    const other = await app.ask('POST', '/api/auth/google/callback', {
      body: Object.fromEntries(wrongProvider.query),
    });

    assert.deepEqual([first.status, again.status, without.status, other.status], [200, 400, 400, 400]);
    assert.equal(again.body.error, 'invalid_state');
  });

  test('does not send browsers to another site', async () => {
    for (const redirect of ['//evil.test', '/\\evil.test', 'https://evil.test', '/a?b']) {
      const { status } = await app.ask(
        'GET',
        `/api/auth/google/url?redirect=${encodeURIComponent(redirect)}`,
      );

      assert.equal(status, 400, redirect);
    }
  });

  test('does not give an account away to an address that nobody checked', async () => {
    await signIn(app, 'google', 'victim@example.org');

    const taken = await signIn(app, 'microsoft', 'victim@example.org');

    assert.deepEqual([taken.status, taken.body.error], [409, 'email_in_use']);
    const linked = await signIn(app, 'github', 'victim@example.org');
    assert.equal(linked.status, 200);
    assert.equal((await rows("SELECT * FROM users WHERE email = 'victim@example.org'")).length, 1);
  });

  test('two first sign-ins of one person at once make one account', async () => {
    const answers = await Promise.all([1, 2, 3].map(() => signIn(app, 'google', 'twice@example.org')));

    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200],
    );
    assert.equal((await rows("SELECT * FROM users WHERE email = 'twice@example.org'")).length, 1);
  });

  describe('sessions', () => {
    const refresh = (token) => app.ask('POST', '/api/auth/refresh', { body: { refresh_token: token } });

    test('rotate, and end for the thief and the owner when an old token comes again', async () => {
      const { body: first } = await signIn(app, 'google', 'rotate@example.org');
      const second = await refresh(first.refresh_token);

      assert.equal(second.status, 200);
      assert.notEqual(second.body.refresh_token, first.refresh_token);
      const stolen = await refresh(first.refresh_token);
      assert.deepEqual([stolen.status, stolen.body.error], [401, 'refresh_token_reused']);
      const owner = await refresh(second.body.refresh_token);
      assert.deepEqual([owner.status, owner.body.error], [401, 'session_ended']);
    });

    test('give one of two renewals at the same time the next token', async () => {
      const { body } = await signIn(app, 'google', 'race@example.org');
      const answers = await Promise.all([refresh(body.refresh_token), refresh(body.refresh_token)]);

      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 401]);
    });

    test('are kept as hashes only', async () => {
      const { body } = await signIn(app, 'google', 'hash@example.org');
      const [{ found }] = await rows(
        "SELECT count(*)::int AS found FROM refresh_tokens WHERE encode(token_hash, 'escape') LIKE '%' || $1 || '%'",
        [body.refresh_token],
      );
      const dump = JSON.stringify(
        await rows('SELECT * FROM refresh_tokens NATURAL JOIN refresh_token_families'),
      );

      assert.equal(found, 0);
      assert.ok(!dump.includes(body.refresh_token));
    });

    test('are over when they were idle for too long or their time has come', async () => {
      const idle = (await signIn(app, 'google', 'idle@example.org')).body.refresh_token;
      await services.admin.query(
        "UPDATE refresh_token_families SET last_used_at = now() - interval '86401 seconds'",
      );
      assert.equal((await refresh(idle)).body.error, 'session_ended');
      const old = (await signIn(app, 'google', 'old@example.org')).body.refresh_token;
      await services.admin.query('UPDATE refresh_token_families SET expires_at = now()');
      assert.equal((await refresh(old)).body.error, 'session_ended');
    });

    test('end at the sign-out that belongs to them; the access token lasts until its expiry', async () => {
      const here = (await signIn(app, 'google', 'out@example.org')).body;
      const elsewhere = (await signIn(app, 'google', 'out@example.org')).body;

      for (const id of ['out-1', 'out-2', 'out-2']) {
        const { status } = await app.ask(
          'POST',
          '/api/auth/logout',
          bearer(here.access_token, { 'X-Request-Id': id }),
        );
        assert.equal(status, 200);
      }

      assert.equal((await refresh(here.refresh_token)).body.error, 'session_ended');
      assert.equal((await refresh(elsewhere.refresh_token)).status, 200);
      assert.equal((await app.ask('GET', '/api/user/profile', bearer(here.access_token))).status, 200);
      const logged = await rows(
        "SELECT request_id FROM authentication_logs WHERE event = 'logout' AND request_id LIKE 'out-%' ORDER BY 1",
      );
      assert.deepEqual(
        logged.map((row) => row.request_id),
        ['out-1', 'out-2'],
      );
    });
  });
});
