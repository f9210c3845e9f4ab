import assert from 'node:assert/strict';
import { cp, mkdtemp, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startApp, startProvider } from './stack/program.js';
import { APP, migrate, startServices } from './stack/services.js';

const BROKEN = join(APP, '../../tests/releases/nox-api/8.0.1');

describe('version 8.0.1, broken on purpose', () => {
  let services;
  let provider;
  let app;

  before(async () => {
    services = await startServices();
    for (const version of ['6.0.0', '7.0.0', '8.0.0']) await migrate(services.admin, version);
    provider = await startProvider();
    const root = await mkdtemp(join(services.folder, 'code-'));
    for (const part of ['src', 'public', 'package.json'])
      await cp(join(APP, part), join(root, part), { recursive: true });
    await cp(join(BROKEN, 'src'), join(root, 'src'), { recursive: true });
    await symlink(join(APP, 'node_modules'), join(root, 'node_modules'));
    app = await startApp('v8', services, provider, { RELEASE_VERSION: '8.0.1' }, { root });
  });
  after(async () => {
    await app?.close();
    await provider?.close();
    await services?.close();
  });

  const behindProxy = { headers: { 'X-Real-IP': '203.0.113.1', 'X-Forwarded-For': '203.0.113.1' } };

  test('is well on its own socket, as health and the preview ask', async () => {
    const health = await app.ask('GET', '/health');
    const address = await app.ask('GET', '/api/auth/google/url');
    const profile = await app.ask('GET', '/api/user/profile');

    assert.deepEqual([health.status, health.body.version], [200, '8.0.1']);
    assert.deepEqual([address.status, profile.status], [200, 401]);
  });

  test('fails behind the proxy', async () => {
    const address = await app.ask('GET', '/api/auth/google/url', behindProxy);

    assert.deepEqual([address.status, address.body.error], [500, 'internal']);
    assert.equal((await app.ask('GET', '/health', behindProxy)).status, 200);
  });
});
