import { spawn } from 'node:child_process';
import { request as httpRequest } from 'node:http';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { APP, stop } from './services.js';

const START_MS = 10_000;
const LOG_MS = 2000;
const PROVIDER_NAMES = ['google', 'github', 'microsoft'];

export const PUBLIC_URL = 'https://nox.test';
export const SECRET = 'a secret of the tests, the same under both of its names';

/** Ask over a unix socket as the proxy would; the body is parsed when it is JSON. */
export function ask(socketPath, method, path, { headers = {}, body } = {}) {
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        socketPath,
        method,
        path,
        headers: {
          Host: 'nox.test',
          'X-Forwarded-Proto': 'https',
          ...(text ? { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) } : {}),
          ...headers,
        },
      },
      (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('end', () => {
          const raw = Buffer.concat(chunks).toString('utf8');
          const isJson = (response.headers['content-type'] ?? '').startsWith('application/json');
          resolve({
            status: response.statusCode,
            headers: response.headers,
            body: isJson && raw ? JSON.parse(raw) : raw,
          });
        });
      },
    );
    request.on('error', reject);
    request.end(text);
  });
}

function collect(child) {
  const lines = [];
  let rest = '';
  child.stdout.on('data', (chunk) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop();
    lines.push(...parts);
  });
  child.stderr.on('data', (chunk) => lines.push(...String(chunk).split('\n').filter(Boolean)));
  return lines;
}

async function untilLogged(child, lines, text) {
  const deadline = Date.now() + START_MS;
  while (!lines.some((line) => line.includes(text))) {
    if (child.exitCode !== null || Date.now() > deadline)
      throw new Error(`the program did not start:\n${lines.join('\n')}`);
    await sleep(20);
  }
}

async function untilEntry(lines, wanted) {
  const deadline = Date.now() + LOG_MS;
  for (;;) {
    const found = lines.map((line) => JSON.parse(line)).find(wanted);
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`nothing of the kind was logged:\n${lines.join('\n')}`);
    await sleep(10);
  }
}

/** Start the OAuth provider of the lab with the callbacks of version 8 registered. */
export async function startProvider() {
  const environment = { PATH: process.env.PATH, PORT: '0', LISTEN_ADDRESS: '127.0.0.1' };
  for (const name of PROVIDER_NAMES) {
    const prefix = name.toUpperCase();
    environment[`${prefix}_CLIENT_ID`] = `${name}-client`;
    environment[`${prefix}_CLIENT_SECRET`] = `${name}-secret`;
    environment[`${prefix}_REDIRECT_URIS`] =
      `${PUBLIC_URL}/api/auth/${name}/callback,${PUBLIC_URL}/auth/callback/${name}`;
  }
  const child = spawn(process.execPath, [join(APP, 'oauth-provider/server.js')], { env: environment });
  const lines = collect(child);
  await untilLogged(child, lines, 'listening');
  return { url: `http://127.0.0.1:${JSON.parse(lines[0]).port}`, close: () => stop(child) };
}

/** The environment variables that point an app at the provider. */
export function providerEnvironment(url, names = PROVIDER_NAMES) {
  return Object.fromEntries(
    names.flatMap((name) => {
      const prefix = name.toUpperCase();
      return [
        [`${prefix}_CLIENT_ID`, `${name}-client`],
        [`${prefix}_CLIENT_SECRET`, `${name}-secret`],
        [`${prefix}_AUTHORIZE_URL`, `${url}/${name}/authorize`],
        [`${prefix}_TOKEN_URL`, `${url}/${name}/token`],
        [`${prefix}_USERINFO_URL`, `${url}/${name}/userinfo`],
      ];
    }),
  );
}

/** The environment of one version against the services of a test. */
export function environmentOf(version, services, provider) {
  const common = { NODE_ENV: 'test', DRAIN_SECONDS: '5' };
  if (version === 'v6') return { ...common, DB_URL: services.databaseUrl };
  if (version === 'v7')
    return {
      ...common,
      DB_URL: services.databaseUrl,
      REDIS_URL: services.redisUrl,
      AUTH_SECRET: SECRET,
      ...providerEnvironment(provider.url, ['google']),
    };
  return {
    ...common,
    DATABASE_URL: services.databaseUrl,
    REDIS_URL: services.redisUrl,
    JWT_SECRET: SECRET,
    CSRF_SECRET: 'csrf',
    SESSION_SECRET: 'session',
    PUBLIC_URL,
    RATE_LIMIT_MAX_REQUESTS: '10000',
    ...providerEnvironment(provider.url),
  };
}

/**
 * Start one version of the app on unix sockets.
 *
 * @returns {Promise<object>} `ask(method, path, options)`, the sockets, the log lines, `close`
 */
export async function startApp(version, services, provider, overrides = {}, { root = APP } = {}) {
  const directory = await mkdtemp(join(services.folder, `${version}-`));
  const environment = {
    PATH: process.env.PATH,
    SOCKET_DIRECTORY: directory,
    ...environmentOf(version, services, provider),
    ...overrides,
  };
  const child = spawn(process.execPath, [join(root, `src/${version}/server.js`)], {
    env: environment,
    cwd: root,
  });
  const lines = collect(child);
  await untilLogged(child, lines, '"listening"');
  const http = join(directory, 'http.sock');
  return {
    child,
    lines,
    directory,
    http,
    ws: join(directory, 'ws.sock'),
    metrics: join(directory, 'metrics.sock'),
    ask: (method, path, options) => ask(http, method, path, options),
    untilLogged: (wanted) => untilEntry(lines, wanted),
    close: (signal) => stop(child, signal),
  };
}

/** Sign in to version 8 as a person would: address, provider, callback. */
export async function signIn(app, provider, email, { scope } = {}) {
  const query = new URLSearchParams({ login_hint: email, ...(scope ? { scope } : {}) });
  const { body: start } = await app.ask('GET', `/api/auth/${provider}/url?${query}`);
  const answer = await fetch(start.url, { redirect: 'manual' });
  const callback = new URL(answer.headers.get('location'));
  const { code, state } = Object.fromEntries(callback.searchParams);
  return app.ask('POST', `/api/auth/${provider}/callback`, { body: { code, state } });
}

export const bearer = (token, headers = {}) => ({
  headers: { Authorization: `Bearer ${token}`, ...headers },
});
